// Build, deploy, invoke and follow, from the palette and the keys.

import type * as Vscode from 'vscode';

import { call } from '../../../app/src/api/client';
import type { JobView } from '../../../app/src/api/generated';
import { all, page } from '../../../app/src/state/paging';
import { followLog, type LogTarget } from '../../../app/src/state/socket';
import { plain } from '../../../app/src/text/ansi';
import { readResult } from '../../../app/src/text/result';
import type { OpenProject } from './project';
import { findings } from './problems';
import type { SourceControl } from './source-control';
import { t } from './texts';

const FINAL = ['succeeded', 'failed', 'cancelled', 'timed_out'];
const ENVIRONMENTS = ['dev', 'prod'];

export class Run {
  private readonly waiting = new Map<string, (job: JobView) => void>();
  private readonly channels = new Map<string, { channel: Vscode.OutputChannel; end: () => void }>();

  constructor(
    private readonly vscode: typeof Vscode,
    private readonly open: OpenProject,
    private readonly control: SourceControl,
    private readonly problems: Vscode.DiagnosticCollection,
  ) {}

  private get at() {
    return { project: this.open.project.slug };
  }

  /** Something happened to a job. */
  async jobChanged(id: string): Promise<void> {
    const settle = this.waiting.get(id);
    if (settle) settle(await call('get_job', { path: { ...this.at, job: id } }));
  }

  /** Looks at every job that is waited for. */
  async look(): Promise<void> {
    for (const id of [...this.waiting.keys()]) await this.jobChanged(id);
  }

  async build(): Promise<void> {
    const { branch } = this.open.files;
    const job = await call('create_build', { path: this.at, body: { ref: branch } });
    await this.follow(job, t('building', { branch }));
  }

  async deploy(): Promise<void> {
    const environment = await this.vscode.window.showQuickPick(ENVIRONMENTS, { placeHolder: t('chooseEnvironment') });
    if (environment === undefined) return;
    const { branch } = this.open.files;
    const path = { ...this.at, environment };
    const job = await call('publish_release', { path, body: { ref: branch } });
    await this.follow(job, t('deploying', { branch, environment }));
  }

  private async follow(job: JobView, title: string): Promise<void> {
    const { window, ProgressLocation } = this.vscode;
    this.showLog({ ...this.at, job: job.id }, `${job.kind} ${job.id.slice(-6)}`);
    const ended = await window.withProgress(
      { location: ProgressLocation.Notification, title, cancellable: true },
      (progress, token) =>
        new Promise<JobView>((resolve) => {
          token.onCancellationRequested(() => void call('cancel_job', { path: { ...this.at, job: job.id } }));
          this.waiting.set(job.id, (now) => {
            progress.report({ message: now.progress.message });
            if (!FINAL.includes(now.state)) return;
            this.waiting.delete(job.id);
            resolve(now);
          });
          // It may have ended before anyone listened.
          void this.jobChanged(job.id);
        }),
    );
    await this.say(ended);
  }

  private async say(job: JobView): Promise<void> {
    const { window, env, Uri } = this.vscode;
    this.problems.clear();
    if (job.state === 'succeeded') {
      const { url } = readResult(job.result);
      const said = t('jobSucceeded', { kind: job.kind });
      const answer = await window.showInformationMessage(said, ...(url ? [t('openSite')] : []));
      if (answer && url) await env.openExternal(Uri.parse(url));
      return;
    }
    for (const [path, list] of findings(this.vscode, job.error ?? '')) this.problems.set(this.control.uri(path), list);
    const reason = job.error ?? job.state;
    if (job.state === 'failed') void window.showErrorMessage(t('jobFailed', { kind: job.kind, reason }));
    else void window.showWarningMessage(t('jobEnded', { kind: job.kind, state: job.state }));
  }

  /** Shows a log and follows it while its channel is open. */
  showLog(target: LogTarget, name: string): void {
    const key = JSON.stringify(target);
    let shown = this.channels.get(key);
    if (!shown) {
      const channel = this.vscode.window.createOutputChannel(`Workroom: ${name}`, 'log');
      const seen = new Set<string>();
      const end = followLog(target, ({ lines }) => {
        for (const line of lines) {
          if (seen.has(line.id)) continue;
          seen.add(line.id);
          channel.appendLine(`${new Date(line.at).toISOString()} ${plain(line.message).replace(/\n$/, '')}`);
        }
      });
      shown = { channel, end };
      this.channels.set(key, shown);
    }
    shown.channel.show(true);
  }

  /** A function of an environment that is deployed. */
  private async pick(): Promise<{ environment: string; id: string; name: string } | undefined> {
    const { window } = this.vscode;
    const environments = await all((cursor) => call('list_environments', { path: this.at, query: page(cursor, 100) }));
    const lists = await Promise.all(
      environments.map(async ({ name }) => {
        const { items } = await call('list_functions', { path: { ...this.at, environment: name } });
        return items.map((found) => ({ label: found.id, description: name, detail: found.runtime, found, name }));
      }),
    );
    const items = lists.flat();
    if (items.length === 0) {
      void window.showInformationMessage(t('notDeployed'));
      return undefined;
    }
    const picked = await window.showQuickPick(items, { placeHolder: t('chooseFunction') });
    return picked && { environment: picked.name, id: picked.found.id, name: picked.label };
  }

  async logs(): Promise<void> {
    const picked = await this.pick();
    if (!picked) return;
    const { environment, id } = picked;
    this.showLog({ ...this.at, environment, function: id }, `${id} (${environment})`);
  }

  async invoke(): Promise<void> {
    const { window, workspace } = this.vscode;
    const picked = await this.pick();
    if (!picked) return;
    const events = await this.open.files.list('events').catch(() => []);
    const names = events.map(([name]) => name).filter((name) => name.endsWith('.json'));
    const editor = window.activeTextEditor?.document;
    const own = editor?.languageId === 'json' ? [t('editorEvent')] : [];
    const chosen = await window.showQuickPick([...own, ...names], { placeHolder: t('chooseEvent') });
    if (chosen === undefined) return;
    const text =
      chosen === t('editorEvent') && editor
        ? editor.getText()
        : new TextDecoder().decode(await this.open.files.read(`events/${chosen}`));
    const event = JSON.parse(text) as Record<string, unknown>;
    const path = { ...this.at, environment: picked.environment, function: picked.id };
    const answer = await window.withProgress(
      { location: this.vscode.ProgressLocation.Window, title: t('invoking', { function: picked.name }) },
      () => call('invoke_function', { path, body: { event } }),
    );
    const error = answer.function_error;
    if (error) void window.showErrorMessage(t('functionFailed', { function: picked.name, error }));
    const content = [JSON.stringify(answer.result, null, 2), '', ...answer.log_tail.split('\n').map((line) => `// ${line}`)];
    const document = await workspace.openTextDocument({ language: 'jsonc', content: content.join('\n') });
    await window.showTextDocument(document, { preview: true, viewColumn: this.vscode.ViewColumn.Beside });
  }

  async openSite(): Promise<void> {
    const { window, env, Uri } = this.vscode;
    const environments = await all((cursor) => call('list_environments', { path: this.at, query: page(cursor, 100) }));
    const items = environments.flatMap(({ name, url }) => (url ? [{ label: name, description: url, url }] : []));
    if (items.length === 0) {
      void window.showInformationMessage(t('notDeployed'));
      return;
    }
    const picked = items.length === 1 ? items[0] : await window.showQuickPick(items);
    if (picked) await env.openExternal(Uri.parse(picked.url));
  }
}
