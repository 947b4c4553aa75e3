// Sends the outbox's entries as drafts, each on top of exactly the version it was made on.

import { call, callVersioned, Problem } from '../../../../app/src/api/client';
import type { DraftView } from '../../../../app/src/api/generated';
import type { CommittedFiles } from './committed';
import { Away, type Entry, type Remote, Superseded, type Theirs } from './outbox';
import { FileTrouble, isAway } from './trouble';

/** What the branch and the drafts on it look like now. */
export interface Now {
  files(): CommittedFiles;
  /** Reads the branch's head again. */
  refresh(): Promise<void>;
  saved(path: string, draft: DraftView | undefined): void;
}

/** A draft's version as `If-Match` wants it. */
export function quoted(etag: string): string {
  return etag.startsWith('"') ? etag : `"${etag}"`;
}

export class DraftRemote implements Remote {
  constructor(
    private readonly project: string,
    private readonly branch: string,
    private readonly now: Now,
  ) {}

  private at(path: string) {
    return { path: { project: this.project }, query: { branch: this.branch, path } };
  }

  async send(entry: Readonly<Entry>): Promise<string | undefined> {
    try {
      const saved = await this.apply(entry);
      this.now.saved(entry.path, saved);
      return saved?.etag;
    } catch (error) {
      if (error instanceof Problem && error.status === 412) return this.met(entry);
      throw isAway(error) || (error instanceof FileTrouble && error.reason === 'away') ? new Away() : error;
    }
  }

  private async apply({ path, wish, etag, head }: Readonly<Entry>): Promise<DraftView | undefined> {
    const condition = etag === undefined ? { ifAbsent: true } : { ifMatch: quoted(etag) };
    if (wish.kind === 'discard') {
      if (etag !== undefined) await call('delete_draft', this.at(path), condition);
      return undefined;
    }
    const { path: project, query } = this.at(path);
    const onto = etag === undefined ? head : wish.kind === 'save' ? wish.onto : undefined;
    const options = {
      ...(onto ? { base: onto } : {}),
      ...(wish.kind === 'delete' ? { deleted: true } : {}),
      ...(wish.kind === 'save' && wish.executable !== undefined ? { executable: wish.executable } : {}),
    };
    const body = new Blob(wish.kind === 'save' ? [wish.bytes as Uint8Array<ArrayBuffer>] : []);
    return (await callVersioned('save_draft', { path: project, query: { ...query, ...options }, body }, condition)).value;
  }

  /** Someone stored another version. It may be our own, whose answer was lost. */
  private async met(entry: Readonly<Entry>): Promise<string | undefined> {
    const { path, wish } = entry;
    const theirs = await this.theirs(path);
    if (theirs.draft && isSame(theirs, wish)) {
      this.now.saved(path, theirs.draft);
      return theirs.etag;
    }
    if (!theirs.draft && wish.kind === 'discard') {
      this.now.saved(path, undefined);
      return undefined;
    }
    const now = { etag: theirs.etag, head: theirs.head };
    // It is what the person edits, by another name: their draft was committed meanwhile.
    if (!theirs.draft && entry.etag !== undefined && isEqual(theirs.bytes, entry.base)) return this.send({ ...entry, ...now });
    throw new Superseded({ ...now, bytes: theirs.bytes });
  }

  private async theirs(path: string): Promise<Theirs & { draft: DraftView | undefined }> {
    try {
      await this.now.refresh();
      const head = this.now.files().commit;
      const { items } = await call('list_drafts', this.at(path));
      const draft = items.find((found) => found.path === path);
      if (!draft) {
        return { draft: undefined, etag: undefined, head, bytes: await this.now.files().contentIfAny(path) };
      }
      const bytes = draft.deleted
        ? undefined
        : new Uint8Array((await call('get_draft', this.at(path))) as ArrayBuffer);
      return { draft, etag: draft.etag, head, bytes };
    } catch (error) {
      throw isAway(error) ? new Away() : error;
    }
  }
}

function isSame(theirs: Theirs, wish: Entry['wish']): boolean {
  if (wish.kind === 'discard') return false;
  return isEqual(theirs.bytes, wish.kind === 'save' ? wish.bytes : undefined);
}

function isEqual(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
