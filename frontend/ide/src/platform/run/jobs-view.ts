// The project's newest jobs, with how far each is.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import type { JobView } from '../../../../app/src/api/generated';
import type { Bench } from '../project';
import { ago, t } from '../texts';
import { isFinal, type Jobs } from './jobs';

const JOBS_SHOWN = 30;
const ICONS: Record<string, string> = {
  queued: 'clock',
  running: 'sync~spin',
  succeeded: 'pass',
  failed: 'error',
  cancelled: 'circle-slash',
  timed_out: 'watch',
};

export class JobsView implements Vscode.TreeDataProvider<JobView> {
  private jobs: JobView[] | undefined;
  private readonly changed: Vscode.EventEmitter<JobView | undefined>;
  readonly onDidChangeTreeData: Vscode.Event<JobView | undefined>;

  constructor(
    private readonly bench: Bench,
    jobs: Jobs,
  ) {
    this.changed = new bench.vscode.EventEmitter();
    this.onDidChangeTreeData = this.changed.event;
    bench.vscode.window.registerTreeDataProvider('workroom.jobs', this);
    jobs.onChange((job) => this.take(job));
  }

  private take(job: JobView): void {
    if (!this.jobs) return;
    const others = this.jobs.filter(({ id }) => id !== job.id);
    this.jobs = [job, ...others].sort((one, other) => other.created - one.created).slice(0, JOBS_SHOWN);
    this.changed.fire(undefined);
  }

  async getChildren(job?: JobView): Promise<JobView[]> {
    if (job) return [];
    const path = { project: this.bench.open.project.slug };
    this.jobs ??= (await call('list_jobs', { path, query: { limit: JOBS_SHOWN } })).items;
    return this.jobs;
  }

  getTreeItem(job: JobView): Vscode.TreeItem {
    const { vscode } = this.bench;
    const item = new vscode.TreeItem([job.kind, job.environment].filter(Boolean).join(' '));
    item.id = job.id;
    item.description = isFinal(job) ? `${job.state}, ${ago(job.finished ?? job.created)}` : job.progress.message;
    item.iconPath = new vscode.ThemeIcon(ICONS[job.state] ?? 'circle');
    item.tooltip = job.error ?? `${job.ref ?? ''} ${job.commit?.slice(0, 8) ?? ''}`.trim();
    item.contextValue = isFinal(job) ? 'job' : 'running';
    item.command = { title: t('showLog'), command: 'workroom.jobLog', arguments: [job] };
    return item;
  }
}
