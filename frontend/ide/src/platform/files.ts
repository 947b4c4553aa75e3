// The files of one branch as a person sees them: what is committed, with their own drafts on top.

import { call, callVersioned, Problem } from '../../../app/src/api/client';
import type { DraftView, ProjectView } from '../../../app/src/api/generated';
import { all, page } from '../../../app/src/state/paging';
import { t } from './texts';

export interface Stat {
  kind: 'file' | 'folder';
  size: number;
  /** Milliseconds. A draft's last change; the opened commit's time for all that is committed. */
  mtime: number;
}

export class FileTrouble extends Error {
  constructor(
    readonly reason: 'absent' | 'exists' | 'is-folder' | 'not-folder' | 'refused' | 'away' | 'changed',
    message: string,
  ) {
    super(message);
  }
}

interface Entry {
  kind: 'file' | 'folder';
  size: number;
}

/** What a change is about: paths without a leading slash. */
export type Changed = (paths: { path: string; what: 'changed' | 'created' | 'deleted' }[]) => void;

const parent = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const base = (path: string) => path.slice(path.lastIndexOf('/') + 1);

export class ProjectFiles {
  /** Committed folders that were read, by path; forgotten when the branch moves. */
  private folders = new Map<string, Promise<Map<string, Entry>>>();
  private drafts = new Map<string, DraftView>();
  /** New folders without a file yet: Git keeps none. */
  private made = new Set<string>();
  /** Committed files that were read. */
  private seen = new Set<string>();
  private headAt = 0;
  head = '';
  private listeners = new Set<Changed>();

  constructor(
    readonly project: ProjectView,
    readonly branch: string,
  ) {}

  private get at() {
    return { project: this.project.slug };
  }

  onChange(listener: Changed): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(...changes: Parameters<Changed>[0]): void {
    if (changes.length > 0) for (const listener of this.listeners) listener(changes);
  }

  /** Reads the branch's head and the person's drafts; tells what is different since. */
  async refresh(): Promise<void> {
    const [branches, drafts] = await Promise.all([
      all((cursor) => call('list_branches', { path: this.at, query: page(cursor, 200) })),
      all((cursor) => call('list_drafts', { path: this.at, query: { branch: this.branch, ...page(cursor, 200) } })),
    ]);
    const head = branches.find((found) => found.name === this.branch)?.commit ?? '';
    const before = this.drafts;
    this.drafts = new Map(drafts.map((draft) => [draft.path, draft]));
    const paths = new Set([...before.keys(), ...this.drafts.keys()]);
    const changes = [...paths]
      .filter((path) => before.get(path)?.etag !== this.drafts.get(path)?.etag)
      .map((path) => ({ path, what: 'changed' as const }));
    if (head !== this.head) {
      this.head = head;
      this.headAt = Date.now();
      this.folders.clear();
      // Whoever shows a folder or a file of the old commit reads it again.
      for (const path of ['', ...this.seen]) changes.push({ path, what: 'changed' });
    }
    this.tell(...changes);
  }

  changes(): DraftView[] {
    return [...this.drafts.values()].sort((one, other) => one.path.localeCompare(other.path));
  }

  private committed(folder: string): Promise<Map<string, Entry>> {
    let reading = this.folders.get(folder);
    if (!reading) {
      reading = this.readFolder(folder);
      reading.catch(() => this.folders.delete(folder));
      this.folders.set(folder, reading);
    }
    return reading;
  }

  private async readFolder(folder: string): Promise<Map<string, Entry>> {
    if (this.head === '') return new Map();
    // What its own folder does not have is not asked for.
    if (folder !== '' && (await this.entry(folder))?.kind !== 'folder') throw new FileTrouble('absent', folder);
    const query = { ref: this.head, path: folder };
    const entries = await all(
      (cursor) => call('list_tree', { path: this.at, query: { ...query, ...page(cursor, 200) } }),
      20_000,
    ).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 404) return undefined;
      throw trouble(error);
    });
    if (!entries) throw new FileTrouble('absent', folder);
    const kind = (found: string): Entry['kind'] => (found === 'folder' || found === 'submodule' ? 'folder' : 'file');
    return new Map(entries.map((entry) => [entry.name, { kind: kind(entry.kind), size: entry.size ?? 0 }]));
  }

  private async entry(path: string): Promise<Entry | undefined> {
    const folder = await this.committed(parent(path)).catch((error: unknown) => {
      if (error instanceof FileTrouble && error.reason === 'absent') return undefined;
      throw error;
    });
    return folder?.get(base(path));
  }

  private hasDraftsBelow(path: string): boolean {
    return [...this.drafts.keys(), ...this.made].some((other) => other.startsWith(`${path}/`));
  }

  async stat(path: string): Promise<Stat> {
    if (path === '') return { kind: 'folder', size: 0, mtime: this.headAt };
    const draft = this.drafts.get(path);
    if (draft) return { kind: 'file', size: draft.length, mtime: draft.updated };
    const entry = await this.entry(path);
    if (entry) return { ...entry, mtime: this.headAt };
    if (this.made.has(path) || this.hasDraftsBelow(path)) return { kind: 'folder', size: 0, mtime: this.headAt };
    throw new FileTrouble('absent', path);
  }

  async list(path: string): Promise<[name: string, kind: 'file' | 'folder'][]> {
    const found = new Map<string, 'file' | 'folder'>();
    const below = path === '' ? '' : `${path}/`;
    try {
      for (const [name, entry] of await this.committed(path)) found.set(name, entry.kind);
    } catch (error) {
      const known = this.made.has(path) || this.hasDraftsBelow(path);
      if (!(error instanceof FileTrouble && error.reason === 'absent' && known)) throw error;
    }
    for (const other of [...this.drafts.keys(), ...this.made]) {
      if (!other.startsWith(below)) continue;
      const [name = '', ...rest] = other.slice(below.length).split('/');
      if (name !== '' && !found.has(name)) {
        found.set(name, rest.length > 0 || this.made.has(other) ? 'folder' : 'file');
      }
    }
    return [...found];
  }

  /** What the person sees: their draft, else what is committed. */
  async read(path: string): Promise<Uint8Array> {
    const query = { branch: this.branch, path };
    try {
      this.seen.add(path);
      if (!this.drafts.has(path)) return await this.readCommitted(path);
      return new Uint8Array((await call('get_draft', { path: this.at, query })) as ArrayBuffer);
    } catch (error) {
      throw trouble(error);
    }
  }

  async readCommitted(path: string): Promise<Uint8Array> {
    if ((await this.entry(path)) === undefined) throw new FileTrouble('absent', path);
    try {
      const body = await call('get_file', { path: this.at, query: { ref: this.head, path } });
      return new Uint8Array(body as ArrayBuffer);
    } catch (error) {
      throw trouble(error);
    }
  }

  /** Saves a draft on top of the version that was seen last. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    const seen = this.drafts.get(path);
    const body = new Blob([bytes as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' });
    const condition = seen ? { ifMatch: quoted(seen.etag) } : { ifAbsent: true };
    const query = { branch: this.branch, path };
    try {
      const saved = await callVersioned('save_draft', { path: this.at, query, body }, condition);
      this.drafts.set(path, saved.value);
      this.made.delete(parent(path));
      this.tell({ path, what: seen ? 'changed' : 'created' });
    } catch (error) {
      if (error instanceof Problem && error.status === 412) {
        // Saved elsewhere: its new time makes the editor ask which version is to stay.
        await this.refresh();
        throw new FileTrouble('changed', path);
      }
      throw trouble(error);
    }
  }

  async discard(path: string): Promise<void> {
    const draft = this.drafts.get(path);
    if (!draft) return;
    const query = { branch: this.branch, path };
    await call('delete_draft', { path: this.at, query }, { ifMatch: quoted(draft.etag) });
    this.drafts.delete(path);
    const committed = await this.entry(path);
    this.tell({ path, what: committed ? 'changed' : 'deleted' });
  }

  makeFolder(path: string): void {
    this.made.add(path);
    this.tell({ path, what: 'created' });
  }

  /** Deletes drafts at and below the path, and what is committed there with one commit. */
  async remove(path: string): Promise<void> {
    for (const draft of [...this.drafts.keys()]) {
      if (draft === path || draft.startsWith(`${path}/`)) await this.discard(draft);
    }
    this.made.delete(path);
    if (await this.entry(path)) await this.commit(t('deleted', { path }), [], [{ action: 'delete', path }]);
    this.tell({ path, what: 'deleted' });
  }

  /** Moves drafts at and below the path, and what is committed there with one commit. */
  async move(from: string, to: string): Promise<void> {
    const moved: [string, Uint8Array][] = [];
    for (const path of [...this.drafts.keys()]) {
      if (path === from || path.startsWith(`${from}/`)) moved.push([to + path.slice(from.length), await this.read(path)]);
    }
    const committed = await this.entry(from);
    for (const path of [...this.drafts.keys()]) {
      if (path === from || path.startsWith(`${from}/`)) await this.discard(path);
    }
    if (committed) await this.commit(t('moved', { from, to }), [], [{ action: 'move', from, to }]);
    for (const [path, bytes] of moved) await this.write(path, bytes);
    if (this.made.delete(from)) this.made.add(to);
    this.tell({ path: from, what: 'deleted' }, { path: to, what: 'created' });
  }

  /** Commits drafts and changes on top of the head that was seen. */
  async commit(
    message: string,
    drafts: string[],
    changes: ({ action: 'delete'; path: string } | { action: 'move'; from: string; to: string })[] = [],
  ): Promise<string> {
    const body = { branch: this.branch, expected_head: this.head || null, message, drafts, changes };
    try {
      const commit = await call('create_commit', { path: this.at, body });
      await this.refresh();
      return commit.id;
    } catch (error) {
      throw trouble(error);
    }
  }
}

/** A draft's version as `If-Match` wants it. */
function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

function trouble(error: unknown): Error {
  if (error instanceof FileTrouble) return error;
  if (error instanceof Problem) {
    return new FileTrouble(error.status === 404 ? 'absent' : 'refused', error.message);
  }
  // `fetch` says so when nobody answers.
  if (error instanceof TypeError) return new FileTrouble('away', t('offline'));
  return error instanceof Error ? error : new Error(String(error));
}

