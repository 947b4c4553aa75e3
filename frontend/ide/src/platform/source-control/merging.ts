// Bringing commits together: update from a branch, cherry-pick, revert. Files that both sides changed are merged one after
// the other in the merge editor; nothing is stored before the last one is done.

import { call, Problem } from '../../../../app/src/api/client';
import type { CommitView, ConflictView, MergedView, ResolutionBody } from '../../../../app/src/api/generated';
import type { Bench } from '../project';
import { t } from '../texts';
import type { Branches } from './branches';
import type { History } from './history';
import type { MergeDesk } from './merge-desk';

/** What is brought into the branch. */
interface Incoming {
  title: string;
  /** How the other side is called. */
  name: string;
  /** The commits that the sides' files are in; no base when the histories have none. */
  base: string | undefined;
  theirs: string;
  run(resolutions: ResolutionBody[]): Promise<MergedView>;
}

export class Merging {
  constructor(
    private readonly bench: Bench,
    private readonly desk: MergeDesk,
    private readonly branches: Branches,
    private readonly history: History,
  ) {
    history.ways.push({ label: t('revert'), run: (commit) => this.revert(commit) });
  }

  private get at() {
    return { project: this.bench.open.project.slug };
  }

  /** Brings what another branch has into the open one. */
  async update(): Promise<void> {
    const { files } = this.bench.open;
    const into = files.branch;
    const from = await this.branches.pick(t('chooseUpdate', { branch: into }), ({ name }) => name !== into);
    if (!from) return;
    const seen = await call('preview_merge', { path: this.at, query: { into, from } });
    const body = { into, from: seen.from_commit, expected_into: seen.into_commit, message: t('mergeMessage', { from, into }) };
    await this.bring({
      title: t('updateFrom', { from, branch: into }),
      name: from,
      base: seen.merge_base ?? undefined,
      theirs: seen.from_commit,
      run: (resolutions) => call('create_merge', { path: this.at, body: { ...body, resolutions } }),
    });
  }

  async cherryPick(): Promise<void> {
    const onto = this.bench.open.files.branch;
    const from = await this.branches.pick(t('cherryPickFrom'), ({ name }) => name !== onto);
    const commit = from && (await this.history.pick(undefined, from));
    if (!commit) return;
    await this.bring({
      title: t('cherryPick'),
      name: commit.id.slice(0, 8),
      base: commit.parents[0],
      theirs: commit.id,
      run: (resolutions) => call('create_cherry_pick', { path: this.at, body: { commit: commit.id, onto, resolutions } }),
    });
  }

  private async revert(commit: CommitView): Promise<void> {
    const onto = this.bench.open.files.branch;
    await this.bring({
      title: t('revert'),
      name: t('before', { commit: commit.id.slice(0, 8) }),
      base: commit.id,
      theirs: commit.parents[0] ?? '',
      run: (resolutions) => call('create_revert', { path: this.at, body: { commit: commit.id, onto, resolutions } }),
    });
  }

  /** Tries, and asks about every file that both sides changed; then tries again with the answers. */
  private async bring(incoming: Incoming): Promise<void> {
    const { window } = this.bench.vscode;
    const resolved: ResolutionBody[] = [];
    for (;;) {
      const result = await this.try(incoming, resolved);
      if (result === 'up-to-date') void window.showInformationMessage(t('upToDate'));
      else if (typeof result === 'string') window.setStatusBarMessage(`$(check) ${t('mergeDone', { title: incoming.title })}`, 8000);
      if (typeof result === 'string') break;
      const open = result.filter(({ path }) => !resolved.some((done) => done.path === path));
      const [next] = open;
      if (!next) throw new Error(t('mergeUnresolved'));
      const resolution = await this.ask(next, open.length, incoming);
      if (!resolution) {
        void window.showInformationMessage(t('mergeGivenUp', { title: incoming.title }));
        return;
      }
      resolved.push(resolution);
    }
    await this.bench.open.files.refresh();
  }

  /** The kind of the merge, or what is in its way. */
  private async try(incoming: Incoming, resolutions: ResolutionBody[]): Promise<string | ConflictView[]> {
    try {
      return (await incoming.run(resolutions)).kind;
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'merge-conflict') throw error;
      return (error.members.conflicts ?? []) as ConflictView[];
    }
  }

  private async ask(conflict: ConflictView, count: number, incoming: Incoming): Promise<ResolutionBody | undefined> {
    const { path, reason } = conflict;
    const isText = reason === 'content' || reason === 'both-added';
    const ways = [...(isText ? [t('merge')] : []), t('keepOurs'), t('takeTheirs')];
    const detail = t('mergeAsk', { path, reason: t(`conflict-${reason}` as 'conflict-content'), count });
    const answer = await this.bench.vscode.window.showWarningMessage(incoming.title, { modal: true, detail }, ...ways);
    if (answer === t('keepOurs')) return { path, side: 'ours' };
    if (answer === t('takeTheirs')) return { path, side: 'theirs' };
    return answer === t('merge') ? this.merge(conflict, incoming) : undefined;
  }

  private async text(commit: string | undefined, side: ConflictView['base']): Promise<string> {
    const bytes = commit && side ? await this.bench.open.files.commit(commit).contentIfAny(side.path) : undefined;
    return new TextDecoder().decode(bytes ?? new Uint8Array());
  }

  private async merge(conflict: ConflictView, incoming: Incoming): Promise<ResolutionBody | undefined> {
    const { path, merged } = conflict;
    const { branch, head } = this.bench.open.files;
    const versions = {
      path,
      base: await this.text(incoming.base, conflict.base),
      ours: await this.text(head, conflict.ours),
      theirs: await this.text(incoming.theirs, conflict.theirs),
      oursTitle: branch,
      theirsTitle: incoming.name,
      ...(merged ? { merged } : {}),
    };
    return new Promise((resolve, reject) => {
      const done = async (content: string) => resolve({ path, content });
      this.desk.open(versions, done, () => resolve(undefined)).catch(reject);
    });
  }
}
