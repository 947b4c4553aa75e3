// Terminal colours in build logs: SGR sequences become styled spans, every other escape sequence goes.

export interface Span {
  text: string;
  /** CSS classes: `bold`, `red`, … */
  style: string;
}

// eslint-disable-next-line no-control-regex
const ESCAPE = /\u001b\[([0-9;]*)([A-Za-z])|\u001b\][^\u0007]*(?:\u0007|\u001b\\)|\u001b[@-_]/g;
const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

export function spans(line: string): Span[] {
  const found: Span[] = [];
  let colour = '';
  let bold = false;
  let from = 0;
  const push = (to: number) => {
    if (to > from) found.push({ text: line.slice(from, to), style: [bold ? 'bold' : '', colour].join(' ').trim() });
  };
  for (const match of line.matchAll(ESCAPE)) {
    push(match.index);
    from = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    for (const code of (match[1] || '0').split(';').map(Number)) {
      if (code === 0) [colour, bold] = ['', false];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code === 39) colour = '';
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) colour = COLOURS[code % 10] ?? '';
    }
  }
  push(line.length);
  return found;
}

/** The line without any escape sequence. */
export function plain(line: string): string {
  return line.replace(ESCAPE, '');
}
