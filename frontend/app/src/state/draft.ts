// One open draft: what is typed is saved a moment later, each time on top of the version last seen.

import { type Signal, signal } from '@preact/signals';

import { call, callVersioned, Problem } from '../api/client';

/** Typing pauses this long before the draft is sent. */
const PAUSE_MS = 600;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;

export type DraftStatus = 'untouched' | 'unsaved' | 'saving' | 'saved' | 'failed' | 'conflict';

export interface DraftPlace {
  project: string;
  branch: string;
  path: string;
}

/** What the store has. */
export interface StoredDraft {
  text: string;
  etag: string;
}

/** The draft routes, so that a test can stand in for them. */
export interface DraftStore {
  put(place: DraftPlace, text: string, etag: string | undefined): Promise<string>;
  get(place: DraftPlace): Promise<StoredDraft | undefined>;
  delete(place: DraftPlace, etag: string): Promise<void>;
}

export const drafts: DraftStore = {
  async put({ project, branch, path }, text, etag) {
    const body = new Blob([text], { type: 'application/octet-stream' });
    const condition = etag === undefined ? { ifAbsent: true } : { ifMatch: etag };
    const saved = await callVersioned('save_draft', { path: { project }, query: { branch, path }, body }, condition);
    return saved.etag;
  },
  async get({ project, branch, path }) {
    try {
      const found = await callVersioned('get_draft', { path: { project }, query: { branch, path } });
      return { text: new TextDecoder().decode(found.value as ArrayBuffer), etag: found.etag };
    } catch (error) {
      if (error instanceof Problem && error.status === 404) return undefined;
      throw error;
    }
  },
  async delete({ project, branch, path }, etag) {
    await call('delete_draft', { path: { project }, query: { branch, path } }, { ifMatch: etag });
  },
};

/** Keeps one draft stored while it is edited. */
export class Draft {
  readonly status: Signal<DraftStatus>;
  /** Why the last save failed. */
  readonly error = signal<unknown>(undefined);
  /** When the last save was acknowledged. */
  readonly savedAt = signal(0);
  /** What someone else stored; set while the status is `conflict`. */
  readonly stored = signal<StoredDraft | undefined>(undefined);
  text: string;
  private sent: string;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private running: Promise<void> | undefined;
  private retryMs = RETRY_MIN_MS;

  constructor(
    readonly place: DraftPlace,
    text: string,
    private etag: string | undefined,
    private readonly store: DraftStore = drafts,
  ) {
    this.text = text;
    this.sent = text;
    this.status = signal<DraftStatus>(etag === undefined ? 'untouched' : 'saved');
  }

  /** Whether something typed is not stored yet. */
  get pending(): boolean {
    return this.text !== this.sent;
  }

  get exists(): boolean {
    return this.etag !== undefined;
  }

  edit(text: string): void {
    this.text = text;
    if (this.status.value === 'conflict') return;
    if (!this.pending) return;
    this.status.value = 'unsaved';
    this.later(PAUSE_MS);
  }

  /** Stores what is typed now; done when it is acknowledged, in conflict or refused. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    if (!this.pending || this.status.value === 'conflict') return;
    this.running = this.send().finally(() => {
      this.running = undefined;
    });
    await this.running;
  }

  /** Ends a conflict: `text` is stored on top of what the other one stored. */
  async keep(text: string): Promise<void> {
    this.settle();
    this.text = text;
    this.status.value = this.pending ? 'unsaved' : 'saved';
    await this.flush();
  }

  /** Ends a conflict: the other one's text is the draft. */
  take(): string {
    this.settle();
    this.text = this.sent;
    this.status.value = this.exists ? 'saved' : 'untouched';
    return this.text;
  }

  /** What the other one stored is what we build on; without an etag it was deleted. */
  private settle(): void {
    const stored = this.stored.value;
    this.etag = stored?.etag || undefined;
    this.sent = stored?.text ?? '';
    this.stored.value = undefined;
  }

  async discard(): Promise<void> {
    clearTimeout(this.timer);
    while (this.running) await this.running;
    if (this.etag !== undefined) await this.store.delete(this.place, this.etag);
    this.etag = undefined;
    this.sent = this.text;
    this.status.value = 'untouched';
  }

  close(): void {
    clearTimeout(this.timer);
    if (this.pending && this.status.value !== 'conflict') void this.flush();
  }

  private later(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.flush(), ms);
  }

  private async send(): Promise<void> {
    const text = this.text;
    this.status.value = 'saving';
    try {
      this.etag = await this.store.put(this.place, text, this.etag);
      this.sent = text;
      this.retryMs = RETRY_MIN_MS;
      this.error.value = undefined;
      this.savedAt.value = Date.now();
      this.status.value = this.pending ? 'unsaved' : 'saved';
      if (this.pending) this.later(PAUSE_MS);
    } catch (error) {
      await this.failed(error, text);
    }
  }

  private async failed(error: unknown, text: string): Promise<void> {
    if (error instanceof Problem && error.status === 412) {
      const stored = await this.store.get(this.place).catch(() => undefined);
      // Our own write whose answer was lost.
      if (stored?.text === text) {
        this.etag = stored.etag;
        this.sent = text;
        this.status.value = 'saved';
        return;
      }
      this.stored.value = stored ?? { text: '', etag: '' };
      this.status.value = 'conflict';
      return;
    }
    this.error.value = error;
    this.status.value = 'failed';
    const refused = error instanceof Problem && error.status < 500 && error.status !== 429;
    if (refused) return;
    // The network or the platform is away: what was typed waits and is sent again.
    this.later(this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }
}
