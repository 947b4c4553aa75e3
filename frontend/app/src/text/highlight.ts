// A line cut at the places that matched.

export interface Piece {
  text: string;
  found: boolean;
}

/** Ranges count UTF-16 units and do not overlap; what lies outside the line is left out. */
export function pieces(line: string, ranges: readonly { start: number; end: number }[]): Piece[] {
  const list: Piece[] = [];
  let at = 0;
  for (const { start, end } of [...ranges].sort((one, other) => one.start - other.start)) {
    const from = Math.max(at, start);
    const to = Math.min(end, line.length);
    if (from >= to) continue;
    if (from > at) list.push({ text: line.slice(at, from), found: false });
    list.push({ text: line.slice(from, to), found: true });
    at = to;
  }
  if (at < line.length) list.push({ text: line.slice(at), found: false });
  return list;
}
