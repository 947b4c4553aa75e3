// Branches: switch, create, delete, commit to a new one, update from another.

import { call } from '../../../../app/src/api/client';
import type { BranchView } from '../../../../app/src/api/generated';
import { all, page } from '../../../../app/src/state/paging';
import type { Bench } from '../project';
import { t } from '../texts';
import type { SourceControl } from './control';

export class Branches {
  constructor(
    private readonly bench: Bench,
    private readonly control: SourceControl,
  ) {}

  private get at() {
    return { project: this.bench.open.project.slug };
  }

  private list(): Promise<BranchView[]> {
    return all((cursor) => call('list_branches', { path: this.at, query: page(cursor, 200) }));
  }

  async pick(placeHolder: string, which: (branch: BranchView) => boolean): Promise<string | undefined> {
    const items = (await this.list()).filter(which).map(({ name, commit, protected: kept }) => ({
      label: name,
      description: [commit.slice(0, 8), kept ? t('protected') : ''].join(' ').trim(),
    }));
    if (items.length === 0) void this.bench.vscode.window.showInformationMessage(t('noOtherBranch'));
    else return (await this.bench.vscode.window.showQuickPick(items, { placeHolder, matchOnDescription: true }))?.label;
    return undefined;
  }

  /** Goes to another branch, or to a new one. Drafts stay with their branch. */
  async switch(): Promise<void> {
    const { window } = this.bench.vscode;
    const branches = await this.list();
    const items = [
      { label: `$(add) ${t('newBranch')}`, name: '', description: '' },
      ...branches.map(({ name, commit }) => ({ label: `$(git-branch) ${name}`, name, description: commit.slice(0, 8) })),
    ];
    const picked = await window.showQuickPick(items, { placeHolder: t('chooseBranch') });
    if (!picked) return;
    if (picked.name === '') await this.create();
    else if (picked.name !== this.bench.open.files.branch) await this.go(picked.name);
  }

  private async go(branch: string): Promise<void> {
    await this.bench.vscode.workspace.saveAll(false);
    await this.bench.open.files.outbox.flush();
    this.bench.around.switchBranch(branch);
  }

  private async newName(): Promise<string | undefined> {
    const prompt = t('newBranchName', { branch: this.bench.open.files.branch });
    const name = (await this.bench.vscode.window.showInputBox({ prompt, ignoreFocusOut: true }))?.trim();
    if (!name) return undefined;
    await call('create_branch', { path: this.at, body: { name, from: this.bench.open.files.branch } });
    return name;
  }

  async create(): Promise<void> {
    const name = await this.newName();
    if (name) await this.go(name);
  }

  /**
   * Publishes the drafts as a commit on a new branch, and goes there: the way to a protected branch. They are given up here
   * when they are committed there.
   */
  async publish(): Promise<void> {
    const { window } = this.bench.vscode;
    const { files } = this.bench.open;
    const message = this.control.written;
    const changes = await files.changes();
    if (changes.length === 0 || message === '') {
      void window.showWarningMessage(t(message === '' ? 'messageMissing' : 'nothingToCommit'));
      return;
    }
    const head = files.head;
    const bodies = await Promise.all(
      changes.map(async ({ path, what }) =>
        what === 'deleted'
          ? { action: 'delete' as const, path }
          : { action: 'put' as const, path, content_base64: base64(await files.read(path)) },
      ),
    );
    const name = await this.newName();
    if (!name) return;
    await call('create_commit', { path: this.at, body: { branch: name, expected_head: head, message, changes: bodies } });
    for (const { path } of changes) await files.discard(path);
    this.control.written = '';
    await this.go(name);
  }

  async delete(): Promise<void> {
    const { window } = this.bench.vscode;
    const { branch } = this.bench.open.files;
    const name = await this.pick(t('chooseBranchToDelete'), (found) => found.name !== branch && !found.default);
    if (!name) return;
    const asked = await window.showWarningMessage(t('deleteBranchAsk', { branch: name }), { modal: true }, t('delete'));
    if (asked !== t('delete')) return;
    const found = (await this.list()).find((one) => one.name === name);
    // It is deleted as it was looked at: what was pushed to it meanwhile is not.
    if (found) await call('delete_branch', { path: { ...this.at, branch: name }, query: { commit: found.commit } });
    window.setStatusBarMessage(`$(check) ${t('branchDeleted', { branch: name })}`, 8000);
  }
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 32_768) text += String.fromCharCode(...bytes.subarray(at, at + 32_768));
  return btoa(text);
}
