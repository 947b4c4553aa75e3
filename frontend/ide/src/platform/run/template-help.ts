// Problems of `template.yaml` and `samconfig.toml` while they are typed, from the platform's own resolver.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import { type Bench, fileUri, pathOf, SCHEME } from '../project';

/** Typing pauses this long before the text is looked at. */
const PAUSE_MS = 400;
const HELPED = /^(template\.ya?ml|samconfig\.toml)$/;

export class TemplateHelp {
  private readonly problems: Vscode.DiagnosticCollection;
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(private readonly bench: Bench) {
    const { languages, workspace } = bench.vscode;
    this.problems = languages.createDiagnosticCollection('workroom-template');
    workspace.onDidChangeTextDocument(({ document }) => this.later(document, PAUSE_MS));
    workspace.onDidOpenTextDocument((document) => this.later(document, 0));
    workspace.onDidCloseTextDocument((document) => this.problems.delete(document.uri));
    for (const document of workspace.textDocuments) this.later(document, 0);
  }

  private later(document: Vscode.TextDocument, ms: number): void {
    if (document.uri.scheme !== SCHEME) return;
    const path = pathOf(this.bench, document.uri);
    if (!HELPED.test(path)) return;
    clearTimeout(this.timers.get(path));
    this.timers.set(path, setTimeout(() => void this.look(document, path).catch(() => undefined), ms));
  }

  private async look(document: Vscode.TextDocument, path: string): Promise<void> {
    const { project } = this.bench.open;
    const { version } = document;
    const body = { path, content: document.getText() };
    const { items } = await call('diagnose', { path: { project: project.slug }, body });
    // What was typed meanwhile is looked at next.
    if (document.isClosed || document.version !== version) return;
    const byPath = new Map<string, Vscode.Diagnostic[]>([[path, []]]);
    for (const item of items) byPath.set(item.path, [...(byPath.get(item.path) ?? []), this.diagnostic(item)]);
    for (const [at, list] of byPath) this.problems.set(fileUri(this.bench, at), list);
  }

  private diagnostic(item: {
    line: number;
    column: number;
    end_line: number;
    end_column: number;
    severity: string;
    code: string;
    message: string;
  }): Vscode.Diagnostic {
    const { Diagnostic, DiagnosticSeverity, Range } = this.bench.vscode;
    const range = new Range(item.line - 1, item.column - 1, item.end_line - 1, item.end_column - 1);
    const severity =
      item.severity === 'error'
        ? DiagnosticSeverity.Error
        : item.severity === 'warning'
          ? DiagnosticSeverity.Warning
          : DiagnosticSeverity.Information;
    const diagnostic = new Diagnostic(range, item.message, severity);
    diagnostic.source = 'template';
    diagnostic.code = item.code;
    return diagnostic;
  }
}
