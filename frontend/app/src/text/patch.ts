// Reads a unified patch into lines with their numbers.

export interface PatchLine {
  kind: 'hunk' | 'context' | 'added' | 'deleted';
  text: string;
  before: number | undefined;
  after: number | undefined;
}

const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;

export function parsePatch(patch: string): PatchLine[] {
  const lines: PatchLine[] = [];
  let before = 0;
  let after = 0;
  let inside = false;
  for (const line of patch.replace(/\n$/, '').split('\n')) {
    const hunk = HUNK.exec(line);
    if (hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[2]);
      inside = true;
      lines.push({ kind: 'hunk', text: line, before: undefined, after: undefined });
    } else if (!inside || line.startsWith('\\')) {
      // The file's header, or git's remark on a missing last newline.
    } else if (line.startsWith('+')) {
      lines.push({ kind: 'added', text: line.slice(1), before: undefined, after });
      after += 1;
    } else if (line.startsWith('-')) {
      lines.push({ kind: 'deleted', text: line.slice(1), before, after: undefined });
      before += 1;
    } else {
      lines.push({ kind: 'context', text: line.slice(1), before, after });
      before += 1;
      after += 1;
    }
  }
  return lines;
}
