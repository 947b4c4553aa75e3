// What does not fit a draft goes to the files area, and what is wanted on the person's own disk comes from here.

import type * as Vscode from 'vscode';

import { address } from '../../../../app/src/api/client';
import { Upload } from '../../../../app/src/state/upload';
import { type Bench, pathOf } from '../project';
import { t } from '../texts';
import { baseName } from './committed';

export class Transfer {
  constructor(private readonly bench: Bench) {
    bench.open.files.onTooLarge = (path, bytes) => void this.offer(path, bytes);
  }

  private async offer(path: string, bytes: Uint8Array): Promise<void> {
    const { window } = this.bench.vscode;
    const megabytes = (bytes.length / 1_000_000).toFixed(1);
    const answer = await window.showWarningMessage(t('tooLargeAsk', { path, megabytes }), t('uploadFile'));
    if (answer === t('uploadFile')) await this.upload(path, bytes);
  }

  /** Sends a file straight to storage, with its checksum; it can be stopped. */
  async upload(path: string, bytes: Uint8Array): Promise<void> {
    const { window, ProgressLocation } = this.bench.vscode;
    const file = new File([bytes as Uint8Array<ArrayBuffer>], baseName(path));
    const upload = new Upload(this.bench.open.project.slug, path, file);
    await window.withProgress(
      { location: ProgressLocation.Notification, title: t('uploading', { path }), cancellable: true },
      async (progress, token) => {
        token.onCancellationRequested(() => upload.cancel());
        let shown = 0;
        const end = upload.part.subscribe((part) => {
          if (upload.phase.value !== 'sending') return;
          progress.report({ message: `${Math.round(part * 100)} %`, increment: Math.max(0, part * 100 - shown) });
          shown = Math.max(shown, part * 100);
        });
        await upload.run();
        end();
      },
    );
    if (upload.phase.value === 'failed') throw upload.error.value;
    if (upload.phase.value !== 'done') return;
    const answer = await window.showInformationMessage(t('uploaded', { path }), t('showFiles'));
    if (answer === t('showFiles')) this.bench.around.showPages('files');
  }

  /** Downloads a folder, or the whole project, as a ZIP archive of the branch: what is committed. */
  download(folder?: Vscode.Uri): void {
    const { project, files } = this.bench.open;
    const path = folder ? pathOf(this.bench, folder) : '';
    const parts = { path: { project: project.slug }, query: { ref: files.branch, path, format: 'zip' as const } };
    this.bench.around.download(address('get_archive', parts));
  }
}
