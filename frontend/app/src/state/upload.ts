// Uploads to the files area: checksum, presigned requests, bytes straight to storage, completion. A large file goes in
// parts, several at once, and goes on where it stopped: after a pause, a lost network, or a reload of the page.

import { signal } from '@preact/signals';

import { call, Problem } from '../api/client';
import type { PresignedView } from '../api/generated';
import { Digester } from './digest';
import { drop, type Interrupted, remember } from './interrupted';
import { Refused, transfer } from './transfer';

export type UploadPhase = 'queued' | 'hashing' | 'sending' | 'paused' | 'completing' | 'done' | 'failed' | 'cancelled';

type Part = Interrupted['parts'][number];

const PARTS_AT_ONCE = 3;
const PART_TRIES = 5;
const RETRY_MS = 500;

/** What is thrown to leave `run` when someone paused or cancelled. */
const stopped = new DOMException('stopped', 'AbortError');

/** One file on its way. */
export class Upload {
  readonly phase = signal<UploadPhase>('queued');
  /** Of the phase, 0 to 1. */
  readonly part = signal(0);
  readonly error = signal<unknown>(undefined);
  private control = new AbortController();
  private digester: Digester | undefined;
  /** Bytes on their way, by part. */
  private readonly sent = new Map<number, number>();

  constructor(
    readonly project: string,
    readonly path: string,
    readonly file: File,
    /** What is known of it from before. */
    private known: Interrupted | undefined = undefined,
  ) {}

  /** Whether it may still be paused or cancelled. */
  get open(): boolean {
    return ['queued', 'hashing', 'sending', 'completing'].includes(this.phase.value);
  }

  /** Is to be sent, or sent again: `run` does it when its turn comes. */
  enqueue(): void {
    this.phase.value = 'queued';
    this.part.value = 0;
  }

  /** Sends what is missing, unless someone thought better of it meanwhile. */
  async run(): Promise<void> {
    if (this.phase.value !== 'queued') return;
    this.control = new AbortController();
    this.error.value = undefined;
    try {
      await this.send();
      this.phase.value = 'done';
      if (this.known) drop(this.known.id);
    } catch (error) {
      if (this.left()) return;
      this.error.value = error;
      this.phase.value = 'failed';
    } finally {
      this.digester?.close();
      this.digester = undefined;
    }
  }

  pause(): void {
    if (!this.open) return;
    this.phase.value = 'paused';
    this.stop();
  }

  async cancel(): Promise<void> {
    this.phase.value = 'cancelled';
    this.stop();
    const { known } = this;
    this.known = undefined;
    if (known) await forget(known);
  }

  /** Whether someone paused or cancelled it. */
  private left(): boolean {
    return this.phase.value === 'paused' || this.phase.value === 'cancelled';
  }

  private stop(): void {
    this.control.abort(stopped);
    this.digester?.close();
  }

  private async send(): Promise<void> {
    this.digester = new Digester();
    this.enter('hashing');
    const sha256 = await this.digester.sha256(this.file, (part) => this.progress(part));
    // The same name and size, and yet another file.
    if (this.known && this.known.sha256 !== sha256) {
      await forget(this.known);
      this.known = undefined;
    }
    const id = this.known ? await this.resume(this.known) : await this.begin(sha256);
    this.enter('completing');
    await call('complete_upload', { path: { project: this.project, upload: id } }, { signal: this.control.signal });
  }

  private enter(phase: UploadPhase): void {
    if (this.control.signal.aborted) throw stopped;
    this.phase.value = phase;
    this.part.value = 0;
  }

  private progress(part: number): void {
    if (!this.control.signal.aborted) this.part.value = part;
  }

  private async begin(sha256: string): Promise<string> {
    const { file, path, project } = this;
    const content_type = file.type || 'application/octet-stream';
    const body = { path, length: file.size, content_type, sha256 };
    const upload = await call('create_upload', { path: { project }, body });
    this.enter('sending');
    if (!upload.parts) {
      await transfer(whole(upload), file, (bytes) => this.progress(bytes / file.size), this.control.signal);
      return upload.id;
    }
    this.known = { project, id: upload.id, path, size: file.size, modified: file.lastModified, sha256, parts: upload.parts, sent: 0 };
    remember(this.known);
    await this.sendParts(this.known, new Set());
    return upload.id;
  }

  private async resume(known: Interrupted): Promise<string> {
    try {
      const seen = await call('get_upload', { path: { project: this.project, upload: known.id } });
      // Only the answer to its completion was lost.
      if (seen.state === 'completed') return known.id;
      const received = new Set(seen.parts?.filter((part) => part.received).map((part) => part.number));
      this.enter('sending');
      await this.sendParts(known, received);
      return known.id;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      // It ended or expired meanwhile.
      drop(known.id);
      this.known = undefined;
      return this.begin(known.sha256);
    }
  }

  private async sendParts(known: Interrupted, received: ReadonlySet<number>): Promise<void> {
    this.sent.clear();
    for (const part of known.parts) if (received.has(part.number)) this.sent.set(part.number, part.size);
    const missing = known.parts.filter((part) => !received.has(part.number));
    this.count(known);
    const lanes = Array.from({ length: PARTS_AT_ONCE }, async () => {
      for (let part = missing.shift(); part; part = missing.shift()) await this.sendPart(known, part);
    });
    try {
      await Promise.all(lanes);
    } catch (error) {
      // The other lanes end with the one that failed.
      this.control.abort(stopped);
      throw error;
    }
  }

  private async sendPart(known: Interrupted, part: Part): Promise<void> {
    const body = this.file.slice(part.offset, part.offset + part.size);
    const sha256 = await this.digester?.sha256(body);
    if (sha256 === undefined) throw stopped;
    for (let attempt = 1; ; attempt += 1) {
      if (this.control.signal.aborted) throw stopped;
      try {
        const path = { project: this.project, upload: known.id };
        const numbers = [{ number: part.number, sha256 }];
        const signed = await call('create_upload_parts', { path, body: { numbers } }, { signal: this.control.signal });
        const to = signed.parts[0]?.put;
        if (!to) throw new Refused(404);
        const onSent = (bytes: number) => {
          this.sent.set(part.number, Math.min(bytes, part.size));
          this.count(known);
        };
        await transfer(to, body, onSent, this.control.signal);
        onSent(part.size);
        remember({ ...known, sent: Math.round(this.part.value * known.size) });
        return;
      } catch (error) {
        this.sent.set(part.number, 0);
        if (attempt >= PART_TRIES || !worthwhile(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS * 2 ** attempt));
      }
    }
  }

  private count(known: Interrupted): void {
    let sum = 0;
    for (const bytes of this.sent.values()) sum += bytes;
    this.progress(known.size === 0 ? 1 : sum / known.size);
  }
}

function whole(upload: { put?: PresignedView | null }): PresignedView {
  if (!upload.put) throw new Refused(404);
  return upload.put;
}

/** Whether another try may end better: the network, a busy service, or a signature that became old. */
function worthwhile(error: unknown): boolean {
  if (error instanceof Refused) return error.status === 0 || error.status === 403 || error.status === 429 || error.status >= 500;
  if (error instanceof Problem) return error.status === 429 || error.status >= 500;
  return error instanceof TypeError;
}

/** Takes back what was stored of an upload that will not be ended. */
export async function forget(upload: Interrupted): Promise<void> {
  drop(upload.id);
  const path = { project: upload.project, upload: upload.id };
  await call('delete_upload', { path }).catch((error: unknown) => {
    if (!(error instanceof Problem) || error.status !== 404) throw error;
  });
}

/** Lets a few uploads run at once, in the order in which they were asked for. */
export class Queue {
  private running = 0;
  private readonly waiting: (() => Promise<void>)[] = [];

  constructor(private readonly atOnce: number) {}

  add(run: () => Promise<void>): void {
    this.waiting.push(run);
    this.next();
  }

  private next(): void {
    while (this.running < this.atOnce) {
      const run = this.waiting.shift();
      if (!run) return;
      this.running += 1;
      void run().finally(() => {
        this.running -= 1;
        this.next();
      });
    }
  }
}
