// Two versions of one draft: another page of the same person, or a branch that moved below it, stored another one. Nothing is
// overwritten: the person chooses.

import type { Bench } from '../project';
import { COMMITTED, reasonOf } from '../project';
import { t } from '../texts';
import type { MergeDesk } from './merge-desk';

const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes ?? new Uint8Array());

export class DraftConflicts {
  private readonly asked = new Set<string>();

  constructor(
    private readonly bench: Bench,
    private readonly desk: MergeDesk,
  ) {
    bench.open.files.outbox.onChange((path) => this.changed(path));
  }

  private get outbox() {
    return this.bench.open.files.outbox;
  }

  list(): string[] {
    return this.outbox.list().flatMap((entry) => (entry.state === 'conflict' ? [entry.path] : []));
  }

  private changed(path: string): void {
    if (this.outbox.get(path)?.state !== 'conflict') this.asked.delete(path);
    else if (!this.asked.has(path)) {
      this.asked.add(path);
      void this.ask(path);
    }
  }

  /** Says that there are two versions, with the ways out. */
  async ask(path: string): Promise<void> {
    const { vscode } = this.bench;
    const ways = [t('merge'), t('compare'), t('keepMine'), t('takeTheirs')];
    const answer = await vscode.window.showWarningMessage(t('draftConflict', { path }), ...ways);
    try {
      if (answer === t('merge')) await this.merge(path);
      if (answer === t('compare')) await this.compare(path);
      if (answer === t('keepMine')) await this.keep(path);
      if (answer === t('takeTheirs')) await this.take(path);
    } catch (error) {
      void vscode.window.showErrorMessage(reasonOf(error));
    }
  }

  private mine(path: string): Uint8Array | undefined {
    const wish = this.outbox.get(path)?.wish;
    return wish?.kind === 'save' ? wish.bytes : undefined;
  }

  async merge(path: string): Promise<void> {
    const entry = this.outbox.get(path);
    const theirs = this.outbox.other(path);
    if (!entry || !theirs) return;
    await this.desk.open(
      {
        path,
        base: decode(entry.base ?? (await this.bench.open.files.commit(entry.head).contentIfAny(path))),
        ours: decode(this.mine(path)),
        theirs: decode(theirs.bytes),
        oursTitle: t('mine'),
        theirsTitle: t('theirs'),
      },
      (text) => this.bench.open.files.settle(path, new TextEncoder().encode(text)),
    );
  }

  /** The other version beside the person's own; the question stays. */
  async compare(path: string): Promise<void> {
    const { vscode, open } = this.bench;
    const theirs = vscode.Uri.from({ scheme: COMMITTED, path: `/${open.project.slug}/${path}`, query: 'theirs' });
    const mine = theirs.with({ query: 'mine' });
    await vscode.commands.executeCommand('vscode.diff', theirs, mine, t('theirsAndMine', { path }));
    await this.ask(path);
  }

  /** The text of one side, for the comparison. */
  side(path: string, which: string): string | undefined {
    if (which === 'theirs') return decode(this.outbox.other(path)?.bytes);
    return which === 'mine' ? decode(this.mine(path)) : undefined;
  }

  async keep(path: string): Promise<void> {
    const { files } = this.bench.open;
    const mine = this.mine(path);
    if (mine) await files.settle(path, mine);
    else await files.outbox.settle(path, { kind: 'delete' });
  }

  async take(path: string): Promise<void> {
    await this.bench.open.files.settle(path, undefined);
  }
}
