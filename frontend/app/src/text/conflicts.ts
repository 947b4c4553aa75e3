// Conflict markers as git writes them (git-merge, "How conflicts are presented"), with or without the base between them.

/** A part of a text, by offsets. */
export interface Part {
  from: number;
  to: number;
}

/** One conflict: the whole with its markers, and what each side says. */
export interface Conflict extends Part {
  ours: Part;
  base: Part | undefined;
  theirs: Part;
}

const MARKER = /^(<{7}|\|{7}|={7}|>{7})(?: .*)?\r?$/;

/** Every complete conflict in the text; markers that do not follow each other are text. */
export function conflictsOf(text: string): Conflict[] {
  const found: Conflict[] = [];
  let start: number | undefined;
  let ours: Part | undefined;
  let base: Part | undefined;
  let side = 0;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at);
    const next = end < 0 ? text.length : end + 1;
    const mark = MARKER.exec(text.slice(at, end < 0 ? text.length : end))?.[1]?.[0];
    if (mark === '<') {
      [start, ours, base, side] = [at, undefined, undefined, next];
    } else if (start !== undefined && mark === '|' && !ours) {
      ours = { from: side, to: at };
      side = next;
    } else if (start !== undefined && mark === '=') {
      if (ours) base = { from: side, to: at };
      else ours = { from: side, to: at };
      side = next;
    } else if (start !== undefined && mark === '>' && ours) {
      found.push({ from: start, to: next, ours, base, theirs: { from: side, to: at } });
      start = undefined;
    }
    at = next;
  }
  return found;
}

export type Choice = 'ours' | 'theirs' | 'both';

/** What takes the conflict's place. */
export function chosen(text: string, conflict: Conflict, choice: Choice): string {
  const ours = text.slice(conflict.ours.from, conflict.ours.to);
  const theirs = text.slice(conflict.theirs.from, conflict.theirs.to);
  return { ours, theirs, both: ours + theirs }[choice];
}
