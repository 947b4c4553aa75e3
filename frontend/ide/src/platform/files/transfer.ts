// What does not fit a draft goes to the files area, and what is wanted on the person's own disk comes from here.

import type * as Vscode from 'vscode';

import { address } from '../../../../app/src/api/client';
import { interrupted, isSame } from '../../../../app/src/state/interrupted';
import { Queue, Upload, type UploadPhase } from '../../../../app/src/state/upload';
import { type Bench, pathOf, reasonOf } from '../project';
import { t } from '../texts';
import { baseName } from './committed';

const UPLOADS_AT_ONCE = 2;
/** What is dropped together comes within it, and is asked for together. */
const TOGETHER_MS = 200;
const MEGABYTE = 1_000_000;

interface Large {
  path: string;
  /** Read piece by piece while it is sent: it may be larger than the page's memory. */
  content: Blob;
}

export class Transfer {
  private readonly queue = new Queue(UPLOADS_AT_ONCE);
  private readonly running = new Set<Upload>();
  private offered: Large[] = [];

  constructor(private readonly bench: Bench) {
    bench.open.files.onTooLarge = (path, content) => this.offer({ path, content });
    globalThis.addEventListener('beforeunload', (event) => {
      if (this.running.size > 0) event.preventDefault();
    });
    void this.remind();
  }

  private offer(large: Large): void {
    this.offered.push(large);
    if (this.offered.length === 1) setTimeout(() => void this.ask(), TOGETHER_MS);
  }

  private async ask(): Promise<void> {
    const offered = this.offered.splice(0);
    const [first] = offered;
    if (!first) return;
    const bytes = offered.reduce((sum, { content }) => sum + content.size, 0);
    const values = { path: first.path, count: offered.length, megabytes: (bytes / MEGABYTE).toFixed(1) };
    const question = t(offered.length === 1 ? 'tooLargeAsk' : 'tooLargeAskMany', values);
    const answer = await this.bench.vscode.window.showWarningMessage(question, t('uploadFile'));
    if (answer !== t('uploadFile')) return;
    for (const { path, content } of offered) this.queue.add(() => this.upload(path, content));
  }

  /** Sends a file straight to storage, with its checksum; it can be stopped, and goes on where an earlier page stopped. */
  private async upload(path: string, content: Blob): Promise<void> {
    const { slug } = this.bench.open.project;
    const { type } = content;
    const lastModified = content instanceof File ? content.lastModified : Date.now();
    const file = new File([content], baseName(path), { type, lastModified });
    const known = interrupted(slug).find((one) => isSame(one, path, file));
    const upload = new Upload(slug, path, file, known);
    this.running.add(upload);
    try {
      await this.follow(upload);
    } finally {
      this.running.delete(upload);
    }
    const { window } = this.bench.vscode;
    if (upload.phase.value === 'failed') {
      void window.showErrorMessage(t('uploadFailed', { path, reason: reasonOf(upload.error.value) }));
    }
    if (upload.phase.value === 'done') void this.tell(t('uploaded', { path }));
  }

  private async follow(upload: Upload): Promise<void> {
    const { window, ProgressLocation } = this.bench.vscode;
    const options = { location: ProgressLocation.Notification, title: t('uploading', { path: upload.path }), cancellable: true };
    await window.withProgress(options, async (progress, token) => {
      token.onCancellationRequested(() => void upload.cancel().catch(() => undefined));
      const doing: Partial<Record<UploadPhase, string>> = { hashing: t('uploadChecking'), sending: t('uploadSending') };
      let shown = 0;
      const end = upload.part.subscribe((part) => {
        const verb = doing[upload.phase.value];
        if (verb === undefined) return;
        const percent = Math.floor(part * 100);
        // The bar is of what is sent; the checksum before it has words alone.
        const increment = upload.phase.value === 'sending' ? Math.max(0, percent - shown) : 0;
        shown += increment;
        progress.report({ message: `${verb} ${percent} %`, increment });
      });
      await upload.run();
      end();
    });
  }

  private async tell(text: string): Promise<void> {
    const answer = await this.bench.vscode.window.showInformationMessage(text, t('showFiles'));
    if (answer === t('showFiles')) this.bench.around.showPages('storage');
  }

  /** Says what an earlier page did not end: it goes on with the same file, here or in the files area. */
  private async remind(): Promise<void> {
    const [first, ...others] = interrupted(this.bench.open.project.slug);
    if (!first) return;
    const percent = first.size === 0 ? 0 : Math.floor((first.sent / first.size) * 100);
    const values = { path: first.path, percent, count: others.length + 1 };
    await this.tell(t(others.length === 0 ? 'uploadInterrupted' : 'uploadsInterrupted', values));
  }

  /** Downloads a folder, or the whole project, as a ZIP archive of the branch: what is committed. */
  download(folder?: Vscode.Uri): void {
    const { project, files } = this.bench.open;
    const path = folder ? pathOf(this.bench, folder) : '';
    const parts = { path: { project: project.slug }, query: { ref: files.branch, path, format: 'zip' as const } };
    this.bench.around.download(address('get_archive', parts));
  }
}
