// The files of one commit, read folder by folder when they are looked at.

import { call, Problem } from '../../../../app/src/api/client';
import { all, page } from '../../../../app/src/state/paging';
import { FileTrouble, trouble } from './trouble';

/** A folder's entries that are read; a larger folder is cut. */
const FOLDER_ENTRIES_MAX = 20_000;

export interface CommittedEntry {
  kind: 'file' | 'folder';
  size: number;
  oid: string;
  executable: boolean;
}

export const parent = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));
export const baseName = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** A folder that is not there has no entries. */
function nothingThere(error: unknown): Map<string, CommittedEntry> {
  if (error instanceof FileTrouble && error.reason === 'absent') return new Map();
  throw error;
}

export class CommittedFiles {
  private readonly folders = new Map<string, Promise<Map<string, CommittedEntry>>>();

  constructor(
    private readonly project: string,
    /** The commit; empty while the branch has none. */
    readonly commit: string,
  ) {}

  folder(path: string): Promise<Map<string, CommittedEntry>> {
    let reading = this.folders.get(path);
    if (!reading) {
      reading = this.read(path);
      reading.catch(() => this.folders.delete(path));
      this.folders.set(path, reading);
    }
    return reading;
  }

  private async read(folder: string): Promise<Map<string, CommittedEntry>> {
    if (this.commit === '') return new Map();
    // What its own folder does not have is not asked for.
    if (folder !== '' && (await this.entry(folder))?.kind !== 'folder') throw new FileTrouble('absent', folder);
    const query = { ref: this.commit, path: folder };
    const entries = await all(
      (cursor) => call('list_tree', { path: { project: this.project }, query: { ...query, ...page(cursor, 200) } }),
      FOLDER_ENTRIES_MAX,
    ).catch((error: unknown) => {
      if (error instanceof Problem && error.status === 404) throw new FileTrouble('absent', folder);
      throw trouble(error);
    });
    return new Map(
      entries.map(({ name, kind, size, oid, mode }) => [
        name,
        {
          kind: kind === 'folder' || kind === 'submodule' ? 'folder' : 'file',
          size: size ?? 0,
          oid,
          executable: mode === '100755',
        },
      ]),
    );
  }

  /** The folders that someone looked at. */
  looked(): string[] {
    return [...this.folders.keys()];
  }

  /** What came to the folders that someone looked at in `before`, and what went: paths of files and folders. */
  async since(before: CommittedFiles): Promise<{ came: string[]; went: string[] }> {
    const [came, went]: [string[], string[]] = [[], []];
    const read = async (files: CommittedFiles, folder: string) =>
      new Set((await files.folder(folder).catch(nothingThere)).keys());
    await Promise.all(
      before.looked().map(async (folder) => {
        const [old, now] = await Promise.all([read(before, folder), read(this, folder)]);
        const path = (name: string) => (folder === '' ? name : `${folder}/${name}`);
        for (const name of now) if (!old.has(name)) came.push(path(name));
        for (const name of old) if (!now.has(name)) went.push(path(name));
      }),
    );
    return { came, went };
  }

  async entry(path: string): Promise<CommittedEntry | undefined> {
    return (await this.folder(parent(path)).catch(nothingThere)).get(baseName(path));
  }

  async content(path: string): Promise<Uint8Array> {
    if ((await this.entry(path)) === undefined) throw new FileTrouble('absent', path);
    try {
      const query = { ref: this.commit, path };
      return new Uint8Array((await call('get_file', { path: { project: this.project }, query })) as ArrayBuffer);
    } catch (error) {
      throw trouble(error);
    }
  }

  /** The same, or nothing when there is no such file. */
  async contentIfAny(path: string): Promise<Uint8Array | undefined> {
    return (await this.entry(path))?.kind === 'file' ? this.content(path) : undefined;
  }
}
