// Uploads to the files area: checksum, presigned URL, bytes straight to storage, completion.

import { signal } from '@preact/signals';

import { call } from '../api/client';
import type { PresignedView } from '../api/generated';

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
      await this.send(upload.put);
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

  private send(to: PresignedView): Promise<void> {
    const request = new XMLHttpRequest();
    this.request = request;
    return new Promise((resolve, reject) => {
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) this.part.value = event.loaded / event.total;
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
      request.send(this.file);
    });
  }
}
