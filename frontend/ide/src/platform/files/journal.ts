// Keeps what is typed before it is saved: a page that ends at once loses no more than the last moment.

import type * as Vscode from 'vscode';

import { type Bench, pathOf, SCHEME } from '../project';

const PAUSE_MS = 100;

export function keepJournal(bench: Bench): void {
  const { workspace } = bench.vscode;
  const { files } = bench.open;
  const timers = new Map<string, ReturnType<typeof setTimeout>>();
  const note = (document: Vscode.TextDocument) => {
    const path = pathOf(bench, document.uri);
    timers.delete(path);
    // Nothing is left to keep when it was saved or taken back meanwhile.
    const bytes = document.isDirty ? new TextEncoder().encode(document.getText()) : undefined;
    void files.note(path, bytes).catch(() => undefined);
  };
  workspace.onDidChangeTextDocument(({ document }) => {
    if (document.uri.scheme !== SCHEME) return;
    const path = pathOf(bench, document.uri);
    // The first keystroke starts the clock: while someone types on, it is kept again and again.
    if (!timers.has(path)) timers.set(path, setTimeout(() => note(document), PAUSE_MS));
  });
}
