// Calling a function that is deployed, with an event of the project or of the editor.

import { call } from '../../../../app/src/api/client';
import { all, page } from '../../../../app/src/state/paging';
import type { Bench } from '../project';
import { reasonOf } from '../project';
import { t } from '../texts';
import type { FiguresView } from './figures-view';
import type { LogChannels } from './log-channels';

export interface FunctionOf {
  environment: string;
  id: string;
}

/** Of what functions answered: `workroom-answer:/FUNCTION 1.jsonc`. */
const ANSWER = 'workroom-answer';
/** Answers that can still be looked at. */
const ANSWERS_KEPT = 20;

export class Invoke {
  private readonly answers = new Map<string, string>();
  private count = 0;

  constructor(
    private readonly bench: Bench,
    private readonly logs: LogChannels,
    private readonly figures: FiguresView,
  ) {
    bench.vscode.workspace.registerTextDocumentContentProvider(ANSWER, {
      provideTextDocumentContent: ({ path }) => this.answers.get(path) ?? '',
    });
  }

  private get at() {
    return { project: this.bench.open.project.slug };
  }

  environments() {
    return all((cursor) => call('list_environments', { path: this.at, query: page(cursor, 100) }));
  }

  async functions(environment: string) {
    return (await call('list_functions', { path: { ...this.at, environment } })).items;
  }

  private async pick(): Promise<FunctionOf | undefined> {
    const { window } = this.bench.vscode;
    const lists = await Promise.all(
      (await this.environments()).map(async ({ name }) =>
        (await this.functions(name)).map(({ id, runtime }) => ({ label: id, description: name, detail: runtime, id, environment: name })),
      ),
    );
    const items = lists.flat();
    if (items.length === 0) {
      void window.showInformationMessage(t('notDeployed'));
      return undefined;
    }
    return window.showQuickPick(items, { placeHolder: t('chooseFunction') });
  }

  async follow(given?: FunctionOf): Promise<void> {
    const picked = given?.id ? given : await this.pick();
    if (!picked) return;
    const { environment, id } = picked;
    this.logs.show({ ...this.at, environment, function: id }, `${id} (${environment})`);
  }

  /** The event's text: of the active editor, or a file of `events/`. */
  private async event(): Promise<{ name: string; text: string } | undefined> {
    const { window } = this.bench.vscode;
    const { files } = this.bench.open;
    const names = (await files.list('events').catch(() => [])).map(([name]) => name).filter((name) => name.endsWith('.json'));
    const editor = window.activeTextEditor?.document;
    const own = editor && ['json', 'jsonc'].includes(editor.languageId) ? [t('editorEvent')] : [];
    const chosen = await window.showQuickPick([...own, ...names, t('emptyEvent')], { placeHolder: t('chooseEvent') });
    if (chosen === undefined) return undefined;
    if (chosen === t('emptyEvent')) return { name: chosen, text: '{}' };
    if (chosen === t('editorEvent') && editor) return { name: chosen, text: editor.getText() };
    return { name: chosen, text: new TextDecoder().decode(await files.read(`events/${chosen}`)) };
  }

  async invoke(given?: FunctionOf): Promise<void> {
    const { window, ProgressLocation } = this.bench.vscode;
    const picked = given?.id ? given : await this.pick();
    const chosen = picked && (await this.event());
    if (!picked || !chosen) return;
    const event = parse(chosen);
    const path = { ...this.at, environment: picked.environment, function: picked.id };
    const answer = await window.withProgress(
      { location: ProgressLocation.Window, title: t('invoking', { function: picked.id }) },
      () => call('invoke_function', { path, body: { event } }),
    );
    const error = answer.function_error;
    if (error) void window.showErrorMessage(t('functionFailed', { function: picked.id, error }));
    if (answer.report) this.figures.add(`${picked.id} (${picked.environment})`, [answer.report]);
    const tail = answer.log_tail.trimEnd().split('\n').map((line) => `// ${line}`);
    await this.show(picked.id, [JSON.stringify(answer.result, null, 2), '', ...tail, ''].join('\n'));
  }

  /** An answer beside the editor; it is no file and asks not to be saved. */
  private async show(name: string, text: string): Promise<void> {
    const { window, workspace, Uri, ViewColumn } = this.bench.vscode;
    this.count += 1;
    const path = `/${name} ${this.count}.jsonc`;
    this.answers.set(path, text);
    const [oldest] = this.answers.keys();
    if (this.answers.size > ANSWERS_KEPT && oldest !== undefined) this.answers.delete(oldest);
    const document = await workspace.openTextDocument(Uri.from({ scheme: ANSWER, path }));
    await window.showTextDocument(document, { preview: true, viewColumn: ViewColumn.Beside });
  }

  async openSite(given?: { url?: string }): Promise<void> {
    const { window, env, Uri } = this.bench.vscode;
    if (given?.url) {
      await env.openExternal(Uri.parse(given.url));
      return;
    }
    const items = (await this.environments()).flatMap(({ name, url }) => (url ? [{ label: name, description: url, url }] : []));
    if (items.length === 0) void window.showInformationMessage(t('notDeployed'));
    const picked = items.length < 2 ? items[0] : await window.showQuickPick(items);
    if (picked) await env.openExternal(Uri.parse(picked.url));
  }
}

function parse({ name, text }: { name: string; text: string }): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw new Error(t('eventUnread', { name, reason: reasonOf(error) }));
  }
}
