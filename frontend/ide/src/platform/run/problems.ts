// Positions in what a build or a function says, and the problems made of them.

import type * as Vscode from 'vscode';

/** `template.yaml:12:3: reason`, as compilers and the template's own checks write it. */
const COLON = /(?<![\w/])((?:[\w.@-]+\/)*[\w.@-]+\.[A-Za-z]\w*):(\d+)(?::(\d+))?:?[ \t]*(.*)/;
/** `File "app.py", line 12`, as Python writes it. */
const PYTHON = /File "([^"]+)", line (\d+)()(.*)/;
/** `app.ts(12,3): error …`, as the TypeScript compiler writes it. */
const PARENTHESES = /(?<![\w/])((?:[\w.@-]+\/)*[\w.@-]+\.[A-Za-z]\w*)\((\d+),(\d+)\):?[ \t]*(.*)/;

export interface Finding {
  path: string;
  /** Counted from 1. */
  line: number;
  column: number;
  message: string;
  /** Where it stands in the line that was read, and its length. */
  at: number;
  length: number;
}

/** The file and place that a line names. */
export function position(line: string): Finding | undefined {
  const found = PYTHON.exec(line) ?? PARENTHESES.exec(line) ?? COLON.exec(line);
  if (!found) return undefined;
  const [whole, path = '', row = '1', column, rest = ''] = found;
  const message = rest.trim();
  return {
    path,
    line: Math.max(1, Number(row)),
    column: Math.max(1, Number(column || 1)),
    message: message === '' ? line.trim() : message,
    at: found.index,
    length: whole.length - rest.length,
  };
}

/** Every line of `text` that names a file and a line in it. */
export function positions(text: string): Finding[] {
  return text.split('\n').flatMap((line) => position(line) ?? []);
}

/**
 * The file of the project that a name in a log means: the path itself, or the only one that ends like it once the folders are
 * left out that only the machine that built or ran it has.
 */
export function known(name: string, paths: readonly string[]): string | undefined {
  const parts = name.replace(/^[./]+/, '').split('/');
  if (paths.includes(parts.join('/'))) return parts.join('/');
  for (let from = 0; from < parts.length; from += 1) {
    const end = `/${parts.slice(from).join('/')}`;
    const found = paths.filter((path) => `/${path}`.endsWith(end));
    if (found.length === 1) return found[0];
    if (found.length > 1) return undefined;
  }
  return undefined;
}

/** Problems by file. What names no file of the project is at the template. */
export function findings(vscode: typeof Vscode, text: string, paths: readonly string[]): Map<string, Vscode.Diagnostic[]> {
  const byFile = new Map<string, Vscode.Diagnostic[]>();
  const found = positions(text).flatMap((one) => {
    const path = known(one.path, paths);
    return path === undefined ? [] : [{ ...one, path }];
  });
  const whole = { path: 'template.yaml', line: 1, column: 1, message: text.trim() };
  for (const { path, line, column, message } of found.length > 0 || text.trim() === '' ? found : [whole]) {
    const start = new vscode.Position(line - 1, column - 1);
    const diagnostic = new vscode.Diagnostic(new vscode.Range(start, start.translate(0, 1)), message);
    diagnostic.source = 'build';
    byFile.set(path, [...(byFile.get(path) ?? []), diagnostic]);
  }
  return byFile;
}
