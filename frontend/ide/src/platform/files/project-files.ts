// The files of one branch as a person sees them: what is committed, their own drafts on top, and what is not sent yet on top
// of those.

import { call, callVersioned } from '../../../../app/src/api/client';
import type { DraftView, ProjectView } from '../../../../app/src/api/generated';
import { all, page } from '../../../../app/src/state/paging';
import { t } from '../texts';
import { CommittedFiles, parent } from './committed';
import { DraftRemote } from './draft-remote';
import { type Entry, type Keep, Outbox, type Wish } from './outbox';
import { FileTrouble, trouble } from './trouble';

/** A draft's bytes: what the platform takes in one request. */
export const DRAFT_BYTES_MAX = 4 * 1024 * 1024;
/** Files that one deletion or move of a folder touches: drafts of a branch are bounded. */
const FILES_AT_ONCE_MAX = 900;
/** Former commits whose folders are remembered. */
const COMMITS_KEPT = 8;

export interface Stat {
  kind: 'file' | 'folder';
  size: number;
  /** Milliseconds. A draft's last change; when the branch was read for all that is committed. */
  mtime: number;
}

/** What a change is about: paths without a leading slash. */
export type Changed = (paths: { path: string; what: 'changed' | 'created' | 'deleted' }[]) => void;

/** What the next commit may take: a file, and what happens to it. */
export interface Change {
  path: string;
  what: 'modified' | 'added' | 'deleted';
  /** Not acknowledged by the platform yet. */
  pending: boolean;
}

export class ProjectFiles {
  private readonly commits = new Map<string, CommittedFiles>();
  private drafts = new Map<string, DraftView>();
  /** New folders without a file yet: Git keeps none. */
  private readonly made = new Set<string>();
  /** What was shown of a file last, and the commit below it: the base if another version appears. */
  private readonly shown = new Map<string, { bytes: Uint8Array; etag: string | undefined; head: string }>();
  /** Every file that was read: whoever shows one is told when the branch moves. */
  private readonly seen = new Set<string>();
  private readonly stats = new Map<string, Stat>();
  private readonly listeners = new Set<Changed>();
  private readonly savedMeanwhile = new Map<string, DraftView | undefined>();
  private reading: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  private headAt = 0;
  committed: CommittedFiles;
  readonly outbox: Outbox;
  /** Whether a file is being edited: then a new version of it is met when it is saved, not pulled from under the person. */
  isEdited: (path: string) => boolean = () => false;
  /** Called with what is too large for a draft. */
  onTooLarge: (path: string, content: Blob) => void = () => undefined;

  constructor(
    readonly project: ProjectView,
    readonly branch: string,
    keep: Keep,
  ) {
    this.committed = this.commit('');
    this.outbox = new Outbox(new DraftRemote(project.slug, branch, {
      files: () => this.committed,
      refresh: () => this.refresh(),
      saved: (path, draft) => this.saved(path, draft),
    }), keep);
    this.outbox.onChange((path) => this.tell({ path, what: 'changed' }));
  }

  private get at() {
    return { project: this.project.slug };
  }

  get head(): string {
    return this.committed.commit;
  }

  /** The files of any commit of the project. */
  commit(id: string): CommittedFiles {
    let found = this.commits.get(id);
    if (!found) {
      found = new CommittedFiles(this.project.slug, id);
      this.commits.set(id, found);
      const [oldest] = this.commits.keys();
      if (this.commits.size > COMMITS_KEPT && oldest !== undefined) this.commits.delete(oldest);
    }
    return found;
  }

  onChange(listener: Changed): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(...changes: Parameters<Changed>[0]): void {
    if (changes.length > 0) for (const listener of this.listeners) listener(changes);
  }

  /** Reads the branch's head and the person's drafts; tells what is different since. Who asks meanwhile gets the next reading. */
  refresh(): Promise<void> {
    this.next ??= this.reading
      .catch(() => undefined)
      .then(() => {
        this.next = undefined;
        this.reading = this.readAnew();
        return this.reading;
      });
    return this.next;
  }

  private async readAnew(): Promise<void> {
    this.savedMeanwhile.clear();
    const [branches, drafts] = await Promise.all([
      all((cursor) => call('list_branches', { path: this.at, query: page(cursor, 200) })),
      all((cursor) => call('list_drafts', { path: this.at, query: { branch: this.branch, ...page(cursor, 200) } })),
    ]);
    const head = branches.find((found) => found.name === this.branch)?.commit ?? '';
    const before = this.drafts;
    this.drafts = new Map(drafts.map((draft) => [draft.path, draft]));
    // The list may be older than what was acknowledged while it was read.
    for (const [path, draft] of this.savedMeanwhile) this.put(path, draft);
    const changed = new Set<string>();
    for (const path of [...before.keys(), ...this.drafts.keys()]) {
      if (before.get(path)?.etag !== this.drafts.get(path)?.etag) changed.add(path);
    }
    if (head !== this.head) {
      const former = this.committed;
      this.committed = this.commit(head);
      this.headAt = Date.now();
      // Whoever shows a folder or a file of the old commit reads it again.
      for (const path of ['', ...this.seen]) changed.add(path);
      void this.tellMoved(former).catch(() => undefined);
    }
    this.tell(...[...changed].map((path) => ({ path, what: 'changed' as const })));
  }

  /** What a push brought and took away, in the folders that are shown: a list of files is read again for these alone. */
  private async tellMoved(former: CommittedFiles): Promise<void> {
    const { came, went } = await this.committed.since(former);
    const { there } = this.overlay();
    const stays = (path: string) => [...there].some((other) => other === path || other.startsWith(`${path}/`));
    this.tell(
      ...came.map((path) => ({ path, what: 'created' as const })),
      ...went.filter((path) => !stays(path)).map((path) => ({ path, what: 'deleted' as const })),
    );
  }

  private saved(path: string, draft: DraftView | undefined): void {
    this.savedMeanwhile.set(path, draft);
    this.put(path, draft);
  }

  private put(path: string, draft: DraftView | undefined): void {
    if (draft) this.drafts.set(path, draft);
    else this.drafts.delete(path);
  }

  draft(path: string): DraftView | undefined {
    return this.drafts.get(path);
  }

  /** Everything that differs from the branch, in the order of paths. */
  async changes(): Promise<Change[]> {
    const pending = this.outbox.list();
    const paths = new Set([...this.drafts.keys(), ...pending.map((entry) => entry.path)]);
    const found = await Promise.all(
      [...paths].sort().map(async (path): Promise<Change | undefined> => {
        const wish = this.outbox.get(path)?.wish;
        if (wish?.kind === 'discard') return undefined;
        const deleted = wish ? wish.kind === 'delete' : this.drafts.get(path)?.deleted === true;
        const committed = await this.committed.entry(path).catch(() => undefined);
        const what = deleted ? 'deleted' : committed ? 'modified' : 'added';
        return { path, what, pending: wish !== undefined };
      }),
    );
    return found.filter((change) => change !== undefined);
  }

  /** The paths that drafts and what is not sent yet add, and those they take away. */
  private overlay(): { there: Set<string>; gone: Set<string> } {
    const [there, gone] = [new Set<string>(), new Set<string>()];
    for (const draft of this.drafts.values()) (draft.deleted ? gone : there).add(draft.path);
    for (const { path, wish } of this.outbox.list()) {
      there.delete(path);
      gone.delete(path);
      if (wish.kind === 'save') there.add(path);
      if (wish.kind === 'delete') gone.add(path);
    }
    return { there, gone };
  }

  async stat(path: string): Promise<Stat> {
    const stat = await this.readStat(path);
    const before = this.stats.get(path);
    // While a file is edited its version stays the one that is edited, so that saving comes to us and not to an old-or-new question.
    if (before && stat.kind === 'file' && this.isEdited(path)) return before;
    this.stats.set(path, stat);
    return stat;
  }

  private async readStat(path: string): Promise<Stat> {
    if (path === '') return { kind: 'folder', size: 0, mtime: this.headAt };
    const wish = this.outbox.get(path)?.wish;
    if (wish?.kind === 'save') {
      return { kind: 'file', size: wish.bytes.length, mtime: this.stats.get(path)?.mtime ?? this.headAt };
    }
    const draft = wish ? undefined : this.drafts.get(path);
    if (wish?.kind === 'delete' || draft?.deleted) throw new FileTrouble('absent', path);
    if (draft) return { kind: 'file', size: draft.length, mtime: draft.updated };
    const entry = await this.committed.entry(path);
    if (entry?.kind === 'file') return { kind: 'file', size: entry.size, mtime: this.headAt };
    if (this.made.has(path) || this.hasBelow(path)) return { kind: 'folder', size: 0, mtime: this.headAt };
    if (entry && (await this.list(path)).length > 0) return { kind: 'folder', size: 0, mtime: this.headAt };
    throw new FileTrouble('absent', path);
  }

  private hasBelow(path: string): boolean {
    return [...this.overlay().there, ...this.made].some((other) => other.startsWith(`${path}/`));
  }

  async list(path: string): Promise<[name: string, kind: 'file' | 'folder'][]> {
    const found = new Map<string, 'file' | 'folder'>();
    const below = path === '' ? '' : `${path}/`;
    const { there, gone } = this.overlay();
    try {
      for (const [name, entry] of await this.committed.folder(path)) {
        if (!gone.has(below + name)) found.set(name, entry.kind);
      }
    } catch (error) {
      const known = this.made.has(path) || this.hasBelow(path);
      if (!(error instanceof FileTrouble && error.reason === 'absent' && known)) throw error;
    }
    for (const other of [...there, ...this.made]) {
      if (!other.startsWith(below)) continue;
      const [name = '', ...rest] = other.slice(below.length).split('/');
      if (name !== '' && !found.has(name)) found.set(name, rest.length > 0 || this.made.has(other) ? 'folder' : 'file');
    }
    if (gone.size > 0) await this.hideEmptied(below, found, gone);
    return [...found];
  }

  /** A folder whose every file is to be deleted is gone for the person: Git keeps no empty one. */
  private async hideEmptied(below: string, found: Map<string, 'file' | 'folder'>, gone: Set<string>): Promise<void> {
    for (const [name, kind] of [...found]) {
      const folder = below + name;
      if (kind !== 'folder' || this.made.has(folder) || ![...gone].some((path) => path.startsWith(`${folder}/`))) continue;
      if ((await this.list(folder)).length === 0) found.delete(name);
    }
  }

  /** What the person sees: what is not sent yet, else their draft, else what is committed. */
  async read(path: string): Promise<Uint8Array> {
    const wish = this.outbox.get(path)?.wish;
    if (wish?.kind === 'save') return wish.bytes;
    const draft = wish ? undefined : this.drafts.get(path);
    if (wish?.kind === 'delete' || draft?.deleted) throw new FileTrouble('absent', path);
    const head = this.head;
    try {
      const { bytes, etag } = draft ? await this.readDraft(path) : { bytes: await this.committed.content(path), etag: undefined };
      this.shown.set(path, { bytes, etag, head });
      this.seen.add(path);
      return bytes;
    } catch (error) {
      throw trouble(error);
    }
  }

  private async readDraft(path: string): Promise<{ bytes: Uint8Array; etag: string }> {
    const query = { branch: this.branch, path };
    const { value, etag } = await callVersioned('get_draft', { path: this.at, query });
    return { bytes: new Uint8Array(value as ArrayBuffer), etag: etag.replaceAll('"', '') };
  }

  readCommitted(path: string): Promise<Uint8Array> {
    return this.committed.content(path);
  }

  /** Saves a draft on top of the version that was shown last. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > DRAFT_BYTES_MAX) {
      this.onTooLarge(path, new Blob([bytes as Uint8Array<ArrayBuffer>]));
      throw new FileTrouble('too-large', t('tooLarge', { path, limit: `${DRAFT_BYTES_MAX / 1024 / 1024} MiB` }));
    }
    const isNew = !(await this.exists(path));
    this.made.delete(parent(path));
    await this.wish(path, { kind: 'save', bytes });
    this.shown.set(path, { bytes, etag: this.drafts.get(path)?.etag, head: this.head });
    this.stats.set(path, await this.readStat(path));
    this.tell({ path, what: isNew ? 'created' : 'changed' });
  }

  private exists(path: string): Promise<boolean> {
    return this.readStat(path).then(
      () => true,
      () => false,
    );
  }

  private wish(path: string, wish: Wish): Promise<void> {
    return this.outbox.put(path, wish, this.below(path, wish)).catch((error: unknown) => {
      throw trouble(error);
    });
  }

  /** An edited file is on top of what was shown; anything else on top of what there is now. */
  private below(path: string, wish: Wish): Pick<Entry, 'etag' | 'head' | 'base'> {
    const shown = this.shown.get(path);
    if (shown && wish.kind === 'save') return { etag: shown.etag, head: shown.head, base: shown.bytes };
    return { etag: this.drafts.get(path)?.etag, head: this.head, base: shown?.bytes };
  }

  /** Keeps what is being typed on this computer, before it is saved; without bytes it was taken back. */
  async note(path: string, bytes: Uint8Array | undefined): Promise<void> {
    if (!bytes) return this.outbox.forget(path);
    if (bytes.length > DRAFT_BYTES_MAX) return;
    const wish: Wish = { kind: 'save', bytes };
    await this.outbox.note(path, wish, this.below(path, wish));
  }

  async discard(path: string): Promise<void> {
    await this.wish(path, { kind: 'discard' });
    this.shown.delete(path);
    this.tell({ path, what: (await this.exists(path)) ? 'changed' : 'deleted' });
  }

  makeFolder(path: string): void {
    this.made.add(path);
    this.tell({ path, what: 'created' });
  }

  /** Every file at and below a path, as the person sees it. */
  async filesBelow(path: string): Promise<string[]> {
    if ((await this.stat(path)).kind === 'file') return [path];
    const found: string[] = [];
    for (const [name] of await this.list(path)) found.push(...(await this.filesBelow(path === '' ? name : `${path}/${name}`)));
    return found;
  }

  private async fewBelow(path: string): Promise<string[]> {
    const files = await this.filesBelow(path);
    if (files.length > FILES_AT_ONCE_MAX) {
      throw new FileTrouble('refused', t('tooMany', { count: files.length, limit: FILES_AT_ONCE_MAX }));
    }
    return files;
  }

  /** Deletes a file or folder in the next commit; what was never committed is gone at once. */
  async remove(path: string): Promise<void> {
    for (const file of await this.fewBelow(path)) await this.removeFile(file);
    for (const folder of [...this.made]) {
      if (folder === path || folder.startsWith(`${path}/`)) this.made.delete(folder);
    }
    this.tell({ path, what: 'deleted' });
  }

  private async removeFile(path: string): Promise<void> {
    const committed = await this.committed.entry(path);
    await this.wish(path, committed ? { kind: 'delete' } : { kind: 'discard' });
    this.shown.delete(path);
  }

  /** Moves a file or folder: the new files and the deletion of the old ones are for the next commit. */
  async move(from: string, to: string): Promise<void> {
    const files = await this.fewBelow(from);
    const moved = files.map((path) => ({ path, target: to + path.slice(from.length) }));
    for (const { path, target } of moved) {
      const executable = this.drafts.get(path)?.executable ?? (await this.committed.entry(path))?.executable ?? false;
      await this.wish(target, { kind: 'save', bytes: await this.read(path), executable });
    }
    for (const { path } of moved) await this.removeFile(path);
    for (const folder of [...this.made]) {
      if (folder !== from && !folder.startsWith(`${from}/`)) continue;
      this.made.delete(folder);
      this.made.add(to + folder.slice(from.length));
    }
    this.tell({ path: from, what: 'deleted' }, { path: to, what: 'created' });
  }

  /** Ends a conflict: with the person's own bytes, or with what was stored meanwhile. */
  async settle(path: string, bytes: Uint8Array | undefined): Promise<void> {
    await this.outbox.settle(path, bytes && { kind: 'save', bytes });
    await this.readAgain(path);
  }

  /** Makes bytes the draft of a file, on top of what the branch has now. */
  async rebase(path: string, bytes: Uint8Array): Promise<void> {
    this.shown.delete(path);
    await this.wish(path, { kind: 'save', bytes, onto: this.head });
    await this.readAgain(path);
  }

  private async readAgain(path: string): Promise<void> {
    this.shown.delete(path);
    this.stats.delete(path);
    await this.refresh();
    this.tell({ path, what: 'changed' });
  }

  /** Commits drafts on top of the head that was seen; `amend` replaces that commit. */
  async commitDrafts(message: string, drafts: string[], amend = false): Promise<string> {
    const head = this.head || null;
    const body = { branch: this.branch, expected_head: head, message, drafts, ...(amend ? { amend: head } : {}) };
    const etags = new Map(drafts.map((path) => [path, this.drafts.get(path)?.etag]));
    const commit = await call('create_commit', { path: this.at, body });
    for (const [path, etag] of etags) {
      const shown = this.shown.get(path);
      // What is shown is the commit's now, without a draft; unless it was read again meanwhile.
      if (shown && shown.etag === etag) this.shown.set(path, { ...shown, etag: undefined, head: commit.id });
    }
    await this.refresh();
    return commit.id;
  }
}
