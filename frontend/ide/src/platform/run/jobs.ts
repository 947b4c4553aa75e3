// Builds and deploys: asked for, followed while they run, and what they found when they end.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import type { JobView } from '../../../../app/src/api/generated';
import { readResult } from '../../../../app/src/text/result';
import { type Bench, fileUri } from '../project';
import type { QuickOpen } from '../search/quick-open';
import { t } from '../texts';
import type { LogChannels } from './log-channels';
import { findings } from './problems';

const FINAL = ['succeeded', 'failed', 'cancelled', 'timed_out'];
const ENVIRONMENTS = ['dev', 'prod'];
/** Of a failed job's log: what is read for positions. */
const LOG_LINES = 1000;

export const isFinal = (job: JobView) => FINAL.includes(job.state);

export class Jobs {
  private readonly waiting = new Map<string, (job: JobView) => void>();
  private readonly changed: Vscode.EventEmitter<JobView>;
  private readonly problems: Vscode.DiagnosticCollection;
  readonly onChange: Vscode.Event<JobView>;

  constructor(
    private readonly bench: Bench,
    private readonly logs: LogChannels,
    private readonly quickOpen: QuickOpen,
  ) {
    this.changed = new bench.vscode.EventEmitter();
    this.onChange = this.changed.event;
    this.problems = bench.vscode.languages.createDiagnosticCollection('workroom-build');
  }

  private get at() {
    return { project: this.bench.open.project.slug };
  }

  /** Something happened to a job. */
  async happened(id: string): Promise<void> {
    if (id === '') return;
    const job = await call('get_job', { path: { ...this.at, job: id } });
    this.changed.fire(job);
    this.waiting.get(id)?.(job);
  }

  /** Looks at every job that is waited for. */
  async look(): Promise<void> {
    for (const id of this.waiting.keys()) await this.happened(id);
  }

  /** What is edited is built as it is committed: says so when there is more. */
  private async ready(): Promise<boolean> {
    const { window, commands } = this.bench.vscode;
    const changes = await this.bench.open.files.changes();
    if (changes.length === 0) return true;
    const answer = await window.showWarningMessage(
      t('notCommitted', { count: changes.length }),
      t('buildAnyway'),
      t('openSourceControl'),
    );
    if (answer === t('openSourceControl')) await commands.executeCommand('workbench.view.scm');
    return answer === t('buildAnyway');
  }

  async build(): Promise<void> {
    if (!(await this.ready())) return;
    const { branch } = this.bench.open.files;
    const job = await call('create_build', { path: this.at, body: { ref: branch } });
    await this.follow(job, t('building', { branch }));
  }

  async deploy(given?: { environment?: string }): Promise<void> {
    if (!(await this.ready())) return;
    const { window } = this.bench.vscode;
    const placeHolder = t('chooseEnvironment');
    const environment = given?.environment ?? (await window.showQuickPick(ENVIRONMENTS, { placeHolder }));
    if (environment === undefined) return;
    const { branch } = this.bench.open.files;
    const job = await call('publish_release', { path: { ...this.at, environment }, body: { ref: branch } });
    await this.follow(job, t('deploying', { branch, environment }));
  }

  async cancel(job?: { id: string }): Promise<void> {
    const { window } = this.bench.vscode;
    let id = job?.id;
    if (id === undefined) {
      const { items } = await call('list_jobs', { path: this.at, query: { limit: 50 } });
      const running = items.filter((found) => !isFinal(found));
      if (running.length === 0) void window.showInformationMessage(t('nothingRuns'));
      const shown = running.map((found) => ({ label: found.kind, description: found.progress.message, id: found.id }));
      id = running.length < 2 ? running[0]?.id : (await window.showQuickPick(shown))?.id;
    }
    if (id !== undefined) await call('cancel_job', { path: { ...this.at, job: id } });
  }

  showLog(job: JobView): void {
    this.logs.show({ ...this.at, job: job.id }, `${job.kind} ${job.id.slice(-6)}`);
  }

  private async follow(job: JobView, title: string): Promise<void> {
    const { window, ProgressLocation } = this.bench.vscode;
    this.showLog(job);
    this.changed.fire(job);
    const ended = await window.withProgress(
      { location: ProgressLocation.Notification, title, cancellable: true },
      (progress, token) =>
        new Promise<JobView>((resolve) => {
          token.onCancellationRequested(() => void this.cancel(job));
          this.waiting.set(job.id, (now) => {
            progress.report({ message: now.progress.message });
            if (!isFinal(now)) return;
            this.waiting.delete(job.id);
            resolve(now);
          });
          // It may have ended before anyone listened.
          void this.happened(job.id);
        }),
    );
    await this.ended(ended);
  }

  private async ended(job: JobView): Promise<void> {
    const { window } = this.bench.vscode;
    this.problems.clear();
    if (job.state === 'succeeded') {
      const { url } = readResult(job.result);
      const answer = await window.showInformationMessage(t('jobSucceeded', { kind: job.kind }), ...(url ? [t('openSite')] : []));
      if (answer && url) await this.openAddress(url);
      return;
    }
    const reason = job.error ?? job.state;
    if (job.state === 'failed') void window.showErrorMessage(t('jobFailed', { kind: job.kind, reason }));
    else void window.showWarningMessage(t('jobEnded', { kind: job.kind, state: job.state }));
    if (job.state === 'failed') await this.mark(job);
  }

  /** Marks what a failed job names: in its reason, else in its log. */
  private async mark(job: JobView): Promise<void> {
    const { vscode } = this.bench;
    const paths = await this.quickOpen.list();
    const show = (text: string) => {
      const found = findings(vscode, text, paths);
      for (const [path, list] of found) this.problems.set(fileUri(this.bench, path), list);
    };
    show(job.error ?? '');
    const { lines } = await call('get_job_log', { path: { ...this.at, job: job.id }, query: { start: 0, limit: LOG_LINES } });
    const named = lines.map(({ message }) => message).join('\n');
    const found = findings(vscode, named, paths);
    // The whole log as one problem would say nothing.
    const [first] = found.values();
    if (found.size > 0 && first?.[0]?.message !== named.trim()) show(`${job.error ?? ''}\n${named}`);
  }

  async openAddress(url: string): Promise<void> {
    const { env, Uri } = this.bench.vscode;
    await env.openExternal(Uri.parse(url));
  }
}
