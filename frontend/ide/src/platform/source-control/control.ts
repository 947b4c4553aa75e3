// Source control: drafts are the changes, a commit takes the staged ones, or all when none is staged.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import { type Bench, committedUri, fileUri, pathOf, SCHEME } from '../project';
import type { Change } from '../files/project-files';
import { t } from '../texts';
import type { DraftConflicts } from './draft-conflicts';
import type { Outdated } from './outdated';

const LETTERS = { modified: 'M', added: 'A', deleted: 'D' } as const;
const COLOURS = {
  modified: 'gitDecoration.modifiedResourceForeground',
  added: 'gitDecoration.addedResourceForeground',
  deleted: 'gitDecoration.deletedResourceForeground',
} as const;

type State = Vscode.SourceControlResourceState;

export class SourceControl {
  private readonly control: Vscode.SourceControl;
  private readonly groups: Record<'merge' | 'staged' | 'changes', Vscode.SourceControlResourceGroup>;
  private readonly staged = new Set<string>();
  private changes: Change[] = [];
  private showing: Promise<void> = Promise.resolve();
  private readonly decorated: Vscode.EventEmitter<Vscode.Uri[]>;

  constructor(
    private readonly bench: Bench,
    private readonly conflicts: DraftConflicts,
    private readonly outdated: Outdated,
  ) {
    const { vscode, open } = bench;
    const root = vscode.Uri.from({ scheme: SCHEME, path: `/${open.project.slug}` });
    this.control = vscode.scm.createSourceControl('workroom', open.project.name, root);
    this.control.inputBox.placeholder = t('commitMessage', { branch: open.files.branch });
    this.control.acceptInputCommand = { command: 'workroom.commit', title: t('commit') };
    this.control.quickDiffProvider = {
      provideOriginalResource: (uri) => (uri.scheme === SCHEME ? committedUri(bench, pathOf(bench, uri)) : undefined),
    };
    this.groups = {
      merge: this.control.createResourceGroup('merge', t('mergeChanges')),
      staged: this.control.createResourceGroup('staged', t('stagedChanges')),
      changes: this.control.createResourceGroup('changes', t('changes')),
    };
    this.groups.merge.hideWhenEmpty = true;
    this.groups.staged.hideWhenEmpty = true;
    this.decorated = new vscode.EventEmitter();
    vscode.window.registerFileDecorationProvider({
      onDidChangeFileDecorations: this.decorated.event,
      provideFileDecoration: (uri) => this.decoration(uri),
    });
    open.files.onChange(() => this.show());
    this.show();
  }

  /** One showing at a time, in the order of asking. */
  private show(): void {
    this.showing = this.showing.then(() => this.showNow()).catch(() => undefined);
  }

  private async showNow(): Promise<void> {
    const before = this.changes;
    this.changes = await this.bench.open.files.changes();
    const known = new Set(this.changes.map(({ path }) => path));
    for (const path of [...this.staged]) if (!known.has(path)) this.staged.delete(path);
    const unsettled = new Set([...this.conflicts.list(), ...(await this.outdated.among(this.changes))]);
    const inGroup = (pick: (path: string) => boolean) =>
      this.changes.filter(({ path }) => pick(path)).map((change) => this.state(change, unsettled.has(change.path)));
    this.groups.merge.resourceStates = inGroup((path) => unsettled.has(path));
    this.groups.staged.resourceStates = inGroup((path) => this.staged.has(path) && !unsettled.has(path));
    this.groups.changes.resourceStates = inGroup((path) => !this.staged.has(path) && !unsettled.has(path));
    this.control.count = this.changes.length;
    const paths = new Set([...before, ...this.changes].map(({ path }) => path));
    this.decorated.fire([...paths].map((path) => fileUri(this.bench, path)));
  }

  private state({ path, what, pending }: Change, unsettled: boolean): State {
    const { vscode } = this.bench;
    const uri = fileUri(this.bench, path);
    const old = committedUri(this.bench, path);
    const title = `${path} (${this.bench.open.files.branch})`;
    const open = { title, command: 'vscode.open', arguments: [what === 'deleted' ? old : uri] };
    const diff = { title, command: 'vscode.diff', arguments: [old, uri, title] };
    const merge = { title, command: 'workroom.resolve', arguments: [path] };
    const tooltip = unsettled ? t('needsMerge') : pending ? t('notSent') : t(what);
    return {
      resourceUri: uri,
      contextValue: unsettled ? 'unsettled' : what,
      command: unsettled ? merge : what === 'modified' ? diff : open,
      decorations: { tooltip, strikeThrough: what === 'deleted', ...(pending ? { iconPath: new vscode.ThemeIcon('cloud-upload') } : {}) },
    };
  }

  private decoration(uri: Vscode.Uri): Vscode.FileDecoration | undefined {
    if (uri.scheme !== SCHEME) return undefined;
    const change = this.changes.find(({ path }) => path === pathOf(this.bench, uri));
    if (!change) return undefined;
    const { vscode } = this.bench;
    return { badge: LETTERS[change.what], tooltip: t(change.what), color: new vscode.ThemeColor(COLOURS[change.what]), propagate: change.what !== 'deleted' };
  }

  private paths(given: unknown[], all: 'staged' | 'changes'): string[] {
    const states = given.flat().filter((one): one is State => typeof one === 'object' && one !== null && 'resourceUri' in one);
    const chosen = states.length > 0 ? states : this.groups[all].resourceStates;
    return chosen.map((state) => pathOf(this.bench, state.resourceUri));
  }

  stage(...given: unknown[]): void {
    for (const path of this.paths(given, 'changes')) this.staged.add(path);
    this.show();
  }

  unstage(...given: unknown[]): void {
    for (const path of this.paths(given, 'staged')) this.staged.delete(path);
    this.show();
  }

  /** Merges a file that has two versions. */
  async resolve(given: unknown): Promise<void> {
    const path = typeof given === 'string' ? given : this.paths([given], 'changes')[0];
    if (path === undefined) return;
    if (this.conflicts.list().includes(path)) await this.conflicts.merge(path);
    else await this.outdated.merge(path);
  }

  /** What is typed is stored before it is committed. */
  private async saved(): Promise<boolean> {
    const { workspace, window } = this.bench.vscode;
    const unsaved = () => workspace.textDocuments.some(({ isDirty, uri }) => isDirty && uri.scheme === SCHEME);
    if (unsaved()) await workspace.saveAll(false);
    await this.bench.open.files.outbox.flush();
    if (!unsaved() && this.bench.open.files.outbox.list().length === 0) return true;
    void window.showWarningMessage(t('unsaved'));
    return false;
  }

  /** Commits what is staged, else all. `amend` replaces the branch's last commit. */
  async commit(amend = false): Promise<void> {
    const { window } = this.bench.vscode;
    const { files } = this.bench.open;
    if (!(await this.saved())) return;
    await files.refresh();
    await this.showNow();
    if (this.groups.merge.resourceStates.length > 0) {
      void window.showWarningMessage(t('mergeFirst'));
      return;
    }
    const group = this.groups.staged.resourceStates.length > 0 ? this.groups.staged : this.groups.changes;
    const chosen = group.resourceStates.map((state) => pathOf(this.bench, state.resourceUri));
    const message = await this.message(amend);
    if (chosen.length === 0 && !amend) void window.showInformationMessage(t('nothingToCommit'));
    else if (message === '') void window.showWarningMessage(t('messageMissing'));
    else {
      const id = await files.commitDrafts(message, chosen, amend);
      this.control.inputBox.value = '';
      this.staged.clear();
      const [subject = ''] = message.split('\n', 1);
      window.setStatusBarMessage(`$(check) ${t('committed', { id: id.slice(0, 8), subject })}`, 8000);
    }
  }

  /** What is written in the box; to amend, the last commit's own when nothing is. */
  private async message(amend: boolean): Promise<string> {
    const written = this.control.inputBox.value.trim();
    if (written !== '' || !amend) return written;
    const { project, files } = this.bench.open;
    const last = await call('get_commit', { path: { project: project.slug, commit: files.head } });
    return last.message.trim();
  }

  get written(): string {
    return this.control.inputBox.value.trim();
  }

  set written(text: string) {
    this.control.inputBox.value = text;
  }

  /** Gives up drafts, and offers to bring them back. */
  async discard(...given: unknown[]): Promise<void> {
    const { window } = this.bench.vscode;
    const { files } = this.bench.open;
    const paths = this.paths(given, 'changes');
    if (paths.length === 0) return;
    const question = paths.length === 1 ? t('discardAsk', { path: paths[0] ?? '' }) : t('discardAllAsk', { count: paths.length });
    if ((await window.showWarningMessage(question, { modal: true }, t('discard'))) !== t('discard')) return;
    const givenUp: [path: string, bytes: Uint8Array | undefined][] = [];
    for (const path of paths) {
      givenUp.push([path, await files.read(path).catch(() => undefined)]);
      await files.discard(path);
    }
    const said = paths.length === 1 ? t('discarded', { path: paths[0] ?? '' }) : t('discardedAll', { count: paths.length });
    if ((await window.showInformationMessage(said, t('undo'))) !== t('undo')) return;
    for (const [path, bytes] of givenUp) {
      if (bytes) await files.write(path, bytes);
      else await files.remove(path);
    }
  }
}
