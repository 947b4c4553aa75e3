// Places in files that a build names: `template.yaml:12:5`, or Python's `File "app.py", line 3`.

export interface Position {
  path: string;
  line: number;
}

export interface Piece {
  text: string;
  position: Position | undefined;
}

const PLACE = /(?<![\w./:-])((?:[\w@.-]+\/)*[\w@-][\w@.-]*\.[A-Za-z][A-Za-z0-9]{0,9}):(\d{1,7})(?::\d{1,7})?|File "([^"/][^"]*)", line (\d{1,7})/g;
/** Where a build works; what is below it is in the repository. */
const WORKSHOP = /^(?:\.\/)+/;

/** The text, cut at the places that it names. */
export function positions(text: string): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACE)) {
    const path = (match[1] ?? match[3] ?? '').replace(WORKSHOP, '');
    const line = Number(match[2] ?? match[4]);
    if (line === 0 || path.split('/').includes('..')) continue;
    if (match.index > at) found.push({ text: text.slice(at, match.index), position: undefined });
    found.push({ text: match[0], position: { path, line } });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), position: undefined });
  return found;
}
