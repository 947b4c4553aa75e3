// Drafts that began from an older version of a file than the branch now has: committing them would undo what a colleague did.

import { type Bench, committedUri, fileUri } from '../project';
import type { Change } from '../files/project-files';
import { t } from '../texts';
import type { MergeDesk } from './merge-desk';

const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes ?? new Uint8Array());

export class Outdated {
  private readonly said = new Set<string>();

  constructor(
    private readonly bench: Bench,
    private readonly desk: MergeDesk,
  ) {}

  /** The commit that a draft began from, when the file is another one by now. */
  private async base(path: string): Promise<string | undefined> {
    const { files } = this.bench.open;
    const base = files.draft(path)?.base;
    if (!base || base === files.head) return undefined;
    const [before, after] = await Promise.all([files.commit(base).entry(path), files.committed.entry(path)]);
    return before?.oid === after?.oid ? undefined : base;
  }

  async among(changes: Change[]): Promise<string[]> {
    const found = await Promise.all(
      changes.map(async ({ path }) => ((await this.base(path).catch(() => undefined)) === undefined ? [] : [path])),
    );
    for (const path of found.flat()) void this.say(path);
    return found.flat();
  }

  /** Says it once for each version of the branch. */
  private async say(path: string): Promise<void> {
    const { vscode, open } = this.bench;
    const version = `${open.files.head}:${path}`;
    if (this.said.has(version)) return;
    this.said.add(version);
    const answer = await vscode.window.showWarningMessage(t('outdated', { path }), t('merge'), t('compare'));
    if (answer === t('merge')) await this.merge(path);
    if (answer !== t('compare')) return;
    const title = `${path} (${open.files.branch})`;
    await vscode.commands.executeCommand('vscode.diff', committedUri(this.bench, path), fileUri(this.bench, path), title);
  }

  async merge(path: string): Promise<void> {
    const { files } = this.bench.open;
    const base = await this.base(path);
    if (base === undefined) return;
    const versions = {
      path,
      base: decode(await files.commit(base).contentIfAny(path)),
      ours: decode(await files.read(path).catch(() => undefined)),
      theirs: decode(await files.committed.contentIfAny(path)),
      oursTitle: t('mine'),
      theirsTitle: t('branchVersion', { branch: files.branch }),
    };
    await this.desk.open(versions, (text) => files.rebase(path, new TextEncoder().encode(text)));
  }
}
