// Positions in what a build says: `template.yaml:12:3: reason`.

import type * as Vscode from 'vscode';

const POSITION = /(?:^|[\s"'`(])((?:[\w.@-]+\/)*[\w.@-]+\.[A-Za-z]\w*):(\d+)(?::(\d+))?:?\s*(.*)/;

export interface Finding {
  path: string;
  /** Counted from 1. */
  line: number;
  column: number;
  message: string;
}

/** Every line of `text` that names a file and a line in it. */
export function positions(text: string): Finding[] {
  return text.split('\n').flatMap((line) => {
    const found = POSITION.exec(line);
    if (!found) return [];
    const [, path = '', row = '1', column = '1', message = ''] = found;
    return [{ path, line: Number(row), column: Number(column), message: message || line.trim() }];
  });
}

/** The same as diagnostics, by file. What names no file is at the template. */
export function findings(vscode: typeof Vscode, text: string): Map<string, Vscode.Diagnostic[]> {
  const byFile = new Map<string, Vscode.Diagnostic[]>();
  const found = positions(text);
  const shown = found.length > 0 || text === '' ? found : [{ path: 'template.yaml', line: 1, column: 1, message: text }];
  for (const { path, line, column, message } of shown) {
    const start = new vscode.Position(Math.max(0, line - 1), Math.max(0, column - 1));
    const diagnostic = new vscode.Diagnostic(new vscode.Range(start, start.translate(0, 1)), message);
    diagnostic.source = 'workroom';
    byFile.set(path, [...(byFile.get(path) ?? []), diagnostic]);
  }
  return byFile;
}
