// The commits of a file or of the branch, and what can be done with one.

import { call } from '../../../../app/src/api/client';
import type { CommitView } from '../../../../app/src/api/generated';
import { activePath, type Bench, committedUri, pathOf } from '../project';
import { ago, t } from '../texts';

const COMMITS_SHOWN = 100;

export class History {
  /** What else can be done with a commit of the branch. */
  readonly ways: { label: string; run: (commit: CommitView) => Promise<void> }[] = [];

  constructor(private readonly bench: Bench) {}

  private get at() {
    return { project: this.bench.open.project.slug };
  }

  /** A commit of a branch, of those that changed a path when one is given. */
  async pick(path?: string, ref = this.bench.open.files.branch): Promise<CommitView | undefined> {
    const query = { ref, limit: COMMITS_SHOWN, ...(path === undefined ? {} : { path }) };
    const { items } = await call('list_commits', { path: this.at, query });
    const shown = items.map((commit) => ({
      label: commit.message.split('\n', 1)[0] ?? '',
      description: commit.id.slice(0, 8),
      detail: `${commit.author.name}, ${ago(commit.author.at)}`,
      commit,
    }));
    const placeHolder = path === undefined ? t('chooseCommit') : t('historyOf', { path });
    const options = { placeHolder, matchOnDescription: true, matchOnDetail: true };
    return (await this.bench.vscode.window.showQuickPick(shown, options))?.commit;
  }

  /** The history of a file: the one that is named, else the one that is open. */
  async file(uri?: { path: string }): Promise<void> {
    const path = uri ? pathOf(this.bench, uri as never) : activePath(this.bench);
    if (path === undefined) {
      void this.bench.vscode.window.showInformationMessage(t('noFile'));
      return;
    }
    const commit = await this.pick(path);
    if (commit) await this.show(commit, path);
  }

  /** What a commit did to a file. */
  async show(commit: CommitView, path: string): Promise<void> {
    const [parent = ''] = commit.parents;
    const title = `${path} (${commit.id.slice(0, 8)})`;
    const sides = [committedUri(this.bench, path, parent || 'none'), committedUri(this.bench, path, commit.id)];
    await this.bench.vscode.commands.executeCommand('vscode.diff', ...sides, title);
  }

  /** The branch's history: look at a commit, bring it back, or take it from another branch. */
  async branch(): Promise<void> {
    const commit = await this.pick();
    if (!commit) return;
    const { window, env } = this.bench.vscode;
    const ways = [
      { label: t('showChanges'), run: () => this.changes(commit) },
      ...this.ways,
      { label: t('copyId'), run: async () => env.clipboard.writeText(commit.id) },
    ];
    const way = await window.showQuickPick(ways, { placeHolder: commit.message.split('\n', 1)[0] ?? '' });
    await way?.run(commit);
  }

  /** Every file of a commit in one diff. */
  async changes(commit: CommitView): Promise<void> {
    const { vscode } = this.bench;
    const [parent = ''] = commit.parents;
    const { files } = await call('get_diff', { path: this.at, query: { base: parent || undefined, head: commit.id } } as never);
    const sides = files.map(({ old_path, new_path }) => {
      const [old, now] = [old_path ?? new_path ?? '', new_path ?? old_path ?? ''];
      return [committedUri(this.bench, now, commit.id), committedUri(this.bench, old, parent || 'none'), committedUri(this.bench, now, commit.id)];
    });
    const title = `${commit.id.slice(0, 8)} ${commit.message.split('\n', 1)[0] ?? ''}`;
    await vscode.commands.executeCommand('vscode.changes', title, sides);
  }
}
