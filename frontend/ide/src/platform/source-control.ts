// Source control: drafts are the changes, a commit takes a chosen set of them.

import type * as Vscode from 'vscode';

import type { OpenProject } from './project';
import { COMMITTED, SCHEME } from './project';
import { t } from './texts';

export class SourceControl {
  private readonly control: Vscode.SourceControl;
  private readonly group: Vscode.SourceControlResourceGroup;
  /** Drafts that the next commit leaves out. */
  private readonly out: Vscode.SourceControlResourceGroup;
  private readonly left = new Set<string>();

  constructor(
    private readonly vscode: typeof Vscode,
    private readonly open: OpenProject,
  ) {
    const { slug } = open.project;
    const { branch } = open.files;
    this.control = vscode.scm.createSourceControl('workroom', slug, vscode.Uri.from({ scheme: SCHEME, path: `/${slug}` }));
    this.control.inputBox.placeholder = t('commitMessage', { branch });
    this.control.acceptInputCommand = { command: 'workroom.commit', title: 'Commit' };
    this.control.quickDiffProvider = { provideOriginalResource: (uri) => this.committed(uri) };
    this.group = this.control.createResourceGroup('changes', t('changes'));
    this.group.hideWhenEmpty = false;
    this.out = this.control.createResourceGroup('left', '—');
    this.out.hideWhenEmpty = true;
    open.files.onChange(() => this.show());
    this.show();
  }

  uri(path: string): Vscode.Uri {
    return this.vscode.Uri.from({ scheme: SCHEME, path: `/${this.open.project.slug}/${path}` });
  }

  /** The committed side of a file. */
  private committed(uri: Vscode.Uri): Vscode.Uri | undefined {
    return uri.scheme === SCHEME ? uri.with({ scheme: COMMITTED, query: this.open.files.head }) : undefined;
  }

  path(uri: Vscode.Uri): string {
    return uri.path.slice(this.open.project.slug.length + 2);
  }

  private show(): void {
    const states = this.open.files.changes().map((draft): Vscode.SourceControlResourceState => {
      const uri = this.uri(draft.path);
      const title = `${draft.path} (${this.open.files.branch})`;
      return {
        resourceUri: uri,
        command: { command: 'vscode.diff', title, arguments: [this.committed(uri), uri, title] },
        decorations: { tooltip: title },
      };
    });
    const isLeft = (state: Vscode.SourceControlResourceState) => this.left.has(this.path(state.resourceUri));
    this.group.resourceStates = states.filter((state) => !isLeft(state));
    this.out.resourceStates = states.filter(isLeft);
    this.control.count = states.length;
  }

  leave(state: Vscode.SourceControlResourceState): void {
    this.left.add(this.path(state.resourceUri));
    this.show();
  }

  take(state: Vscode.SourceControlResourceState): void {
    this.left.delete(this.path(state.resourceUri));
    this.show();
  }

  async commit(): Promise<void> {
    const { window, workspace } = this.vscode;
    const message = this.control.inputBox.value.trim();
    const unsaved = workspace.textDocuments.some((document) => document.isDirty && document.uri.scheme === SCHEME);
    if (unsaved && !(await workspace.saveAll(false))) {
      void window.showWarningMessage(t('unsaved'));
      return;
    }
    const chosen = this.group.resourceStates.map((state) => this.path(state.resourceUri));
    if (chosen.length === 0) void window.showInformationMessage(t('nothingToCommit'));
    else if (message === '') void window.showWarningMessage(t('messageMissing'));
    else {
      const id = await this.open.files.commit(message, chosen);
      this.control.inputBox.value = '';
      const [subject = ''] = message.split('\n', 1);
      window.setStatusBarMessage(t('committed', { id: id.slice(0, 8), subject }), 8000);
    }
  }

  async discard(states: Vscode.SourceControlResourceState[]): Promise<void> {
    for (const state of states) {
      const path = this.path(state.resourceUri);
      const answer = t('discard');
      const asked = await this.vscode.window.showWarningMessage(t('discardAsk', { path }), { modal: true }, answer);
      if (asked === answer) await this.open.files.discard(path);
    }
  }
}
