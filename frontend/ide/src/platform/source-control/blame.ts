// Who wrote a line: beside the current line, or beside every line of the file.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import type { BlameView, CommitView } from '../../../../app/src/api/generated';
import { type Bench, pathOf, SCHEME } from '../project';
import { ago, t } from '../texts';

/** Files whose authors are remembered. */
const FILES_KEPT = 20;
/** The current line's author is asked for when the cursor has been still for this long. */
const PAUSE_MS = 400;
/** Of an author beside every line; longer names are cut. */
const AUTHOR_CHARS_MAX = 40;

/** The commit of each line, from the first. */
type Lines = (CommitView | undefined)[];

interface Authors {
  lines: Lines;
  /** The platform did not read the whole history. */
  partial: boolean;
}

/** The commit of every line. */
export function byLine({ ranges, commits }: Pick<BlameView, 'ranges' | 'commits'>): Lines {
  const known = new Map(commits.map((commit) => [commit.id, commit]));
  return ranges.flatMap(({ count, commit }) => Array.from({ length: count }, () => known.get(commit)));
}

const summary = ({ message }: CommitView) => message.split('\n', 1)[0] ?? '';
const whoAndWhen = ({ author }: CommitView) => `${author.name}, ${ago(author.at)}`;

export class Blame {
  private readonly known = new Map<string, Promise<Authors>>();
  private readonly current: Vscode.TextEditorDecorationType;
  private readonly column: Vscode.TextEditorDecorationType;
  /** Paths whose every line shows its author. */
  private readonly whole = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly bench: Bench) {
    const { vscode } = bench;
    const color = new vscode.ThemeColor('editorCodeLens.foreground');
    this.current = vscode.window.createTextEditorDecorationType({ after: { color, margin: '0 0 0 3em' }, isWholeLine: true });
    this.column = vscode.window.createTextEditorDecorationType({ before: { color, width: '22em', margin: '0 1em 0 0' } });
    vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => this.later(textEditor));
    vscode.window.onDidChangeActiveTextEditor((editor) => editor && this.later(editor));
    vscode.workspace.onDidChangeTextDocument(({ document, contentChanges }) => contentChanges.length > 0 && this.hide(document));
  }

  private later(editor: Vscode.TextEditor): void {
    clearTimeout(this.timer);
    // Authors are an addition to the text: without an answer there are none.
    this.timer = setTimeout(() => void this.show(editor).catch(() => undefined), PAUSE_MS);
  }

  /** What was changed since the commit has other line numbers. */
  private hide(document: Vscode.TextDocument): void {
    for (const editor of this.bench.vscode.window.visibleTextEditors) {
      if (editor.document !== document) continue;
      editor.setDecorations(this.current, []);
      editor.setDecorations(this.column, []);
    }
  }

  private authors(path: string): Promise<Authors> {
    const ref = this.bench.open.files.head;
    const key = `${ref}:${path}`;
    let reading = this.known.get(key);
    if (!reading) {
      reading = call('get_blame', { path: { project: this.bench.open.project.slug }, query: { ref, path } }).then((blame) => ({
        lines: byLine(blame),
        partial: blame.partial,
      }));
      reading.catch(() => this.known.delete(key));
      this.known.set(key, reading);
      const [oldest] = this.known.keys();
      if (this.known.size > FILES_KEPT && oldest !== undefined) this.known.delete(oldest);
    }
    return reading;
  }

  private path({ document }: Vscode.TextEditor): string | undefined {
    return document.uri.scheme === SCHEME ? pathOf(this.bench, document.uri) : undefined;
  }

  /** The document's lines are the commit's. */
  private isUnchanged({ document }: Vscode.TextEditor, path: string): boolean {
    const { files } = this.bench.open;
    return !document.isDirty && !files.draft(path) && !files.outbox.get(path);
  }

  private async show(editor: Vscode.TextEditor): Promise<void> {
    const path = this.path(editor);
    if (path === undefined) return;
    if (!this.isUnchanged(editor, path)) this.hide(editor.document);
    else if (this.whole.has(path)) await this.showAll(editor, path);
    else await this.showCurrent(editor, path);
  }

  private async showCurrent(editor: Vscode.TextEditor, path: string): Promise<void> {
    const at = editor.selection.active.line;
    const commit = (await this.authors(path)).lines[at];
    if (editor.selection.active.line !== at || this.whole.has(path) || !this.isUnchanged(editor, path)) return;
    const contentText = commit && `${whoAndWhen(commit)} · ${summary(commit)}`;
    const range = editor.document.lineAt(at).range;
    editor.setDecorations(this.current, contentText ? [{ range, renderOptions: { after: { contentText } } }] : []);
  }

  private async showAll(editor: Vscode.TextEditor, path: string): Promise<void> {
    const { Range, MarkdownString } = this.bench.vscode;
    const { lines } = await this.authors(path);
    if (!this.whole.has(path) || !this.isUnchanged(editor, path)) return;
    editor.setDecorations(this.current, []);
    const shown = Array.from({ length: editor.document.lineCount }, (_, at) => {
      const commit = lines[at];
      const text = commit && commit !== lines[at - 1] ? `${commit.id.slice(0, 8)} ${whoAndWhen(commit)}` : '\u00a0';
      const contentText = text.slice(0, AUTHOR_CHARS_MAX);
      const hoverMessage = new MarkdownString().appendText(commit?.message ?? '');
      return { range: new Range(at, 0, at, 0), renderOptions: { before: { contentText } }, hoverMessage };
    });
    editor.setDecorations(this.column, shown);
  }

  /** Shows the author of every line of the open file, or hides them. */
  async toggle(): Promise<void> {
    const { window } = this.bench.vscode;
    const editor = window.activeTextEditor;
    const path = editor && this.path(editor);
    if (editor && path !== undefined && this.whole.delete(path)) {
      this.hide(editor.document);
      return;
    }
    if (!editor || path === undefined || !this.isUnchanged(editor, path)) {
      void window.showInformationMessage(t('blameUnchanged'));
      return;
    }
    const { partial } = await this.authors(path);
    if (partial) void window.showInformationMessage(t('blamePartial', { path }));
    this.whole.add(path);
    await this.showAll(editor, path);
  }
}
