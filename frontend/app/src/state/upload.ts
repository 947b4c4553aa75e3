// Uploads to the files area: checksum, presigned URL, bytes straight to storage, completion.

import { signal } from '@preact/signals';

import { call } from '../api/client';
import type { PartPlanView, PresignedView } from '../api/generated';

export type UploadPhase = 'hashing' | 'sending' | 'completing' | 'done' | 'failed' | 'cancelled';

/** One file on its way. */
export class Upload {
  readonly phase = signal<UploadPhase>('hashing');
  /** Of the phase, 0 to 1. */
  readonly part = signal(0);
  readonly error = signal<unknown>(undefined);
  private worker: Worker | undefined;
  private request: XMLHttpRequest | undefined;

  constructor(
    readonly project: string,
    readonly path: string,
    readonly file: File,
  ) {}

  async run(): Promise<void> {
    try {
      this.phase.value = 'hashing';
      const sha256 = await this.digest();
      this.phase.value = 'sending';
      this.part.value = 0;
      const upload = await call('create_upload', {
        path: { project: this.project },
        body: {
          path: this.path,
          length: this.file.size,
          content_type: this.file.type || 'application/octet-stream',
          sha256,
        },
      });
      if (upload.put) await this.send(upload.put, this.file, 0);
      else for (const part of upload.parts ?? []) await this.sendPart(upload.id, part);
      this.phase.value = 'completing';
      await call('complete_upload', { path: { project: this.project, upload: upload.id } });
      this.phase.value = 'done';
    } catch (error) {
      if (this.stopped()) return;
      this.error.value = error;
      this.phase.value = 'failed';
    }
  }

  cancel(): void {
    this.phase.value = 'cancelled';
    this.worker?.terminate();
    this.request?.abort();
  }

  private stopped(): boolean {
    return this.phase.value === 'cancelled';
  }

  /** SHA-256 in hex, computed beside the page. */
  private digest(): Promise<string> {
    const worker = new Worker(new URL('./digest.worker.ts', import.meta.url), { type: 'module' });
    this.worker = worker;
    return new Promise<string>((resolve, reject) => {
      worker.onmessage = (message: MessageEvent<{ part?: number; sha256?: string; error?: string }>) => {
        const { part, sha256, error } = message.data;
        if (part !== undefined) this.part.value = part;
        if (sha256 !== undefined) resolve(sha256);
        if (error !== undefined) reject(new Error(error));
      };
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(this.file);
    }).finally(() => worker.terminate());
  }

  private async sendPart(upload: string, part: PartPlanView): Promise<void> {
    if (this.stopped()) throw new Error('cancelled');
    const bytes = this.file.slice(part.offset, part.offset + part.size);
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await bytes.arrayBuffer()));
    const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const signed = await call('create_upload_parts', {
      path: { project: this.project, upload },
      body: { numbers: [{ number: part.number, sha256 }] },
    });
    const to = signed.parts[0];
    if (!to) throw new Error('no address for a part');
    await this.send(to.put, bytes, part.offset);
  }

  /** Sends bytes that begin at `offset` of the file. */
  private send(to: PresignedView, bytes: Blob, offset: number): Promise<void> {
    const request = new XMLHttpRequest();
    this.request = request;
    return new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) this.part.value = (offset + event.loaded) / this.file.size;
      };
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) resolve();
        else reject(new Error(`HTTP ${request.status}`));
      };
      request.onerror = () => reject(new Error('the storage could not be reached'));
      request.onabort = () => reject(new Error('cancelled'));
      request.open(to.method, to.url);
      for (const [name, value] of Object.entries(to.headers)) {
        // The browser sets these itself.
        if (!['content-length', 'host'].includes(name.toLowerCase())) request.setRequestHeader(name, String(value));
      }
      request.send(bytes);
    });
  }
}
