// Files by name: every path of the branch is read once for each commit, with what the person added and took away.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import { all, page } from '../../../../app/src/state/paging';
import { type Bench, fileUri } from '../project';
import { globs } from './globs';

const PATHS_PAGE = 10_000;
/** A larger project is found by its first so many paths. */
const PATHS_MAX = 200_000;
const RESULTS_MAX = 512;

/** Whether the letters of a pattern come in this order in a path, as quick open matches. */
export function resembles(path: string, pattern: string): boolean {
  let at = 0;
  const lower = path.toLowerCase();
  for (const letter of pattern.toLowerCase()) {
    if (letter === ' ') continue;
    at = lower.indexOf(letter, at) + 1;
    if (at === 0) return false;
  }
  return true;
}

export class QuickOpen {
  private commit = '';
  private paths: Promise<string[]> = Promise.resolve([]);

  constructor(private readonly bench: Bench) {}

  /** The committed paths. */
  private committed(): Promise<string[]> {
    const { files, project } = this.bench.open;
    const ref = files.head;
    if (ref === this.commit) return this.paths;
    this.commit = ref;
    const path = { project: project.slug };
    this.paths = ref === '' ? Promise.resolve([]) : all((cursor) => call('list_paths', { path, query: { ref, ...page(cursor, PATHS_PAGE) } }), PATHS_MAX);
    this.paths.catch(() => {
      this.commit = '';
    });
    return this.paths;
  }

  /** Every path as the person sees the branch. */
  async list(): Promise<string[]> {
    const [committed, changes] = [await this.committed(), await this.bench.open.files.changes()];
    const gone = new Set(changes.flatMap(({ path, what }) => (what === 'deleted' ? [path] : [])));
    const added = changes.flatMap(({ path, what }) => (what === 'added' ? [path] : []));
    return [...committed.filter((path) => !gone.has(path)), ...added];
  }

  async find(pattern: string, options: { includes: string[]; excludes: string[]; maxResults?: number }): Promise<Vscode.Uri[]> {
    const [included, excluded] = [globs(options.includes), globs(options.excludes)];
    const most = options.maxResults ?? RESULTS_MAX;
    const found: Vscode.Uri[] = [];
    for (const path of await this.list()) {
      if (found.length >= most) break;
      if (options.includes.length > 0 && !included(path)) continue;
      if (!excluded(path) && resembles(path, pattern)) found.push(fileUri(this.bench, path));
    }
    return found;
  }
}
