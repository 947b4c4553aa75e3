// What was typed and is not acknowledged yet. It is kept on this computer until the platform has it, so that neither a lost
// network nor a closed page loses a keystroke; what meets another version waits for the person's decision.

/** What a file is to become. */
export type Wish =
  /** `onto` is the commit that the bytes are merged with; a draft keeps the one that it began from otherwise. */
  | { kind: 'save'; bytes: Uint8Array; executable?: boolean; onto?: string }
  | { kind: 'delete' }
  | { kind: 'discard' };

export interface Entry {
  path: string;
  wish: Wish;
  /** The draft that it was made on top of; none when there was none. */
  etag: string | undefined;
  /** The commit that was below. */
  head: string;
  /** What the file was before: the base of a three-way merge. None when there was no file, or it is not known. */
  base: Uint8Array | undefined;
  /** `waiting` for the platform, or for the person: another version was stored meanwhile. */
  state: 'sending' | 'waiting' | 'conflict';
}

/** What someone else stored, or the same person elsewhere. */
export interface Theirs {
  etag: string | undefined;
  head: string;
  /** None: the file is deleted there. */
  bytes: Uint8Array | undefined;
}

/** Thrown by a remote whose file is no longer what the entry was made on top of. */
export class Superseded extends Error {
  constructor(readonly theirs: Theirs) {
    super('another version was stored');
  }
}

/** Thrown by a remote that cannot be reached. */
export class Away extends Error {}

export interface Remote {
  /** Sends one entry. Answers with the version that it made; none when no draft is left. */
  send(entry: Readonly<Entry>): Promise<string | undefined>;
}

/** Where entries outlive the page. */
export interface Keep {
  put(entry: Readonly<Entry>): Promise<void>;
  remove(path: string): Promise<void>;
  all(): Promise<Entry[]>;
}

const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 15_000;

export class Outbox {
  private readonly entries = new Map<string, Entry>();
  private readonly theirs = new Map<string, Theirs>();
  /** Of these the kept entry is newer than what is sent. */
  private readonly noted = new Set<string>();
  private readonly running = new Map<string, Promise<void>>();
  private readonly listeners = new Set<(path: string) => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private retryMs = RETRY_MIN_MS;

  constructor(
    private readonly remote: Remote,
    private readonly keep: Keep,
  ) {}

  /** Takes up what an earlier page left. */
  async restore(): Promise<void> {
    for (const entry of await this.keep.all()) {
      if (this.entries.has(entry.path)) continue;
      this.entries.set(entry.path, { ...entry, state: 'waiting' });
      this.tell(entry.path);
    }
    void this.flush();
  }

  /** Called whenever the entry of a path came, went or changed its state. */
  onChange(listener: (path: string) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(path: string): void {
    for (const listener of this.listeners) listener(path);
  }

  get(path: string): Readonly<Entry> | undefined {
    return this.entries.get(path);
  }

  list(): Readonly<Entry>[] {
    return [...this.entries.values()];
  }

  /** The other version, while the entry is in conflict. */
  other(path: string): Theirs | undefined {
    return this.theirs.get(path);
  }

  /**
   * Takes a wish. Done when the platform has it, or when it is kept here: unreachable, or waiting for a decision.
   * Rejects when the platform refuses it for good; then it is not kept.
   */
  async put(path: string, wish: Wish, below: Pick<Entry, 'etag' | 'head' | 'base'>): Promise<void> {
    const before = this.entries.get(path);
    // What is not sent yet was made on top of an older version: that stays its base.
    const entry: Entry = before ? { ...before, wish } : { path, wish, ...below, state: 'sending' };
    this.entries.set(path, entry);
    this.noted.delete(path);
    const kept = this.keep.put(entry);
    this.tell(path);
    if (entry.state === 'conflict') return kept;
    await this.run(path);
    if (this.entries.has(path)) await kept;
  }

  /** Keeps what is being typed without sending it: the next page sends it if this one ends before it is saved. */
  async note(path: string, wish: Wish, below: Pick<Entry, 'etag' | 'head' | 'base'>): Promise<void> {
    this.noted.add(path);
    const before = this.entries.get(path);
    await this.keep.put(before ? { ...before, wish } : { path, wish, ...below, state: 'waiting' });
  }

  /** What was typed was taken back. */
  async forget(path: string): Promise<void> {
    if (!this.noted.delete(path)) return;
    const entry = this.entries.get(path);
    await (entry ? this.keep.put(entry) : this.keep.remove(path));
  }

  /** Ends a conflict: the wish is what stays, on top of the other version; without one the other version stays. */
  async settle(path: string, wish: Wish | undefined): Promise<void> {
    const entry = this.entries.get(path);
    const theirs = this.theirs.get(path);
    if (!entry || !theirs) return;
    this.theirs.delete(path);
    if (!wish) {
      await this.drop(path);
      return;
    }
    const settled: Entry = { path, wish, etag: theirs.etag, head: theirs.head, base: theirs.bytes, state: 'waiting' };
    this.entries.set(path, settled);
    await this.keep.put(settled);
    this.tell(path);
    await this.run(path);
  }

  /** Sends all that waits. */
  async flush(): Promise<void> {
    clearTimeout(this.timer);
    for (const entry of this.list()) {
      if (entry.state === 'waiting') await this.run(entry.path).catch(() => undefined);
    }
  }

  private async drop(path: string): Promise<void> {
    this.entries.delete(path);
    this.tell(path);
    if (!this.noted.has(path)) await this.keep.remove(path);
  }

  /** One file is sent by one run at a time; who comes later waits until nothing is left to send. */
  private async run(path: string): Promise<void> {
    for (;;) {
      const running = this.running.get(path);
      if (running) {
        await running.catch(() => undefined);
        if (this.entries.get(path)?.state !== 'sending') return;
        continue;
      }
      const work = this.send(path).finally(() => this.running.delete(path));
      this.running.set(path, work);
      return work;
    }
  }

  private async send(path: string): Promise<void> {
    for (;;) {
      const entry = this.entries.get(path);
      if (!entry || entry.state === 'conflict') return;
      const { wish } = entry;
      this.change(path, { state: 'sending' });
      try {
        const etag = await this.remote.send(entry);
        this.retryMs = RETRY_MIN_MS;
        const now = this.entries.get(path);
        if (!now || now.wish === wish) return await this.drop(path);
        // More was typed meanwhile: it is on top of what was just stored.
        this.change(path, { etag, base: wish.kind === 'save' ? wish.bytes : undefined });
      } catch (error) {
        return await this.failed(path, error);
      }
    }
  }

  private async failed(path: string, error: unknown): Promise<void> {
    if (error instanceof Superseded) {
      this.theirs.set(path, error.theirs);
      this.change(path, { state: 'conflict' });
      return;
    }
    if (error instanceof Away) {
      this.change(path, { state: 'waiting' });
      clearTimeout(this.timer);
      this.timer = setTimeout(() => void this.flush(), this.retryMs);
      this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
      return;
    }
    await this.drop(path);
    throw error;
  }

  private change(path: string, what: Partial<Entry>): void {
    const entry = this.entries.get(path);
    if (!entry) return;
    this.entries.set(path, { ...entry, ...what });
    this.tell(path);
  }
}
