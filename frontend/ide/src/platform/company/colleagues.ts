// Colleagues' drafts of the file that is edited: said once when theirs and ours meet, with the difference one click away.

import { call } from '../../../../app/src/api/client';
import { activePath, type Bench, COMMITTED, SCHEME } from '../project';
import { t } from '../texts';

/** The same file is not asked for again within this time, unless someone saved a draft of it. */
const FRESH_MS = 30_000;

interface Theirs {
  account: string;
  name: string;
  etag: string;
}

export class Colleagues {
  private readonly asked = new Map<string, number>();
  private readonly said = new Set<string>();
  private readonly item;

  constructor(private readonly bench: Bench) {
    const { window, workspace, StatusBarAlignment, ThemeColor } = bench.vscode;
    this.item = window.createStatusBarItem('workroom.colleague', StatusBarAlignment.Left, 90);
    this.item.name = t('colleagueDrafts');
    this.item.command = 'workroom.colleagueDraft';
    this.item.backgroundColor = new ThemeColor('statusBarItem.warningBackground');
    window.onDidChangeActiveTextEditor(() => this.look());
    workspace.onDidChangeTextDocument(({ document, contentChanges }) => {
      if (contentChanges.length > 0 && document.isDirty && document.uri.scheme === SCHEME) this.look();
    });
    this.look();
  }

  /** Somebody saved or gave up a draft. */
  happened(path: string): void {
    this.asked.delete(path);
    if (path === activePath(this.bench)) this.look();
  }

  private look(): void {
    const path = activePath(this.bench);
    this.item.hide();
    if (path !== undefined) void this.check(path).catch(() => undefined);
  }

  private async theirs(path: string): Promise<Theirs[]> {
    const { project, files } = this.bench.open;
    const query = { branch: files.branch, path, everyone: true };
    const { items } = await call('list_drafts', { path: { project: project.slug }, query });
    return items.filter(({ account }) => account !== this.bench.person.id);
  }

  private readonly found = new Map<string, Theirs[]>();

  private async check(path: string): Promise<void> {
    if (Date.now() - (this.asked.get(path) ?? 0) > FRESH_MS) {
      this.asked.set(path, Date.now());
      this.found.set(path, await this.theirs(path));
    }
    const theirs = this.found.get(path) ?? [];
    const [first] = theirs;
    if (!first || path !== activePath(this.bench)) return;
    this.item.text = `$(warning) ${first.name}`;
    this.item.tooltip = t('colleague', { name: theirs.map(({ name }) => name).join(', '), path });
    this.item.show();
    const { window } = this.bench.vscode;
    const isTouched = this.bench.open.files.draft(path) !== undefined || window.activeTextEditor?.document.isDirty === true;
    const meeting = `${first.account}:${path}`;
    if (!isTouched || this.said.has(meeting)) return;
    this.said.add(meeting);
    const answer = await window.showWarningMessage(t('colleague', { name: first.name, path }), t('compare'));
    if (answer === t('compare')) await this.compare(path, first);
  }

  /** A colleague's draft of the open file beside our own text. */
  async show(): Promise<void> {
    const path = activePath(this.bench);
    if (path === undefined) return;
    const theirs = await this.theirs(path);
    const { window } = this.bench.vscode;
    if (theirs.length === 0) void window.showInformationMessage(t('noColleagueDraft'));
    const shown = theirs.map((one) => ({ label: one.name, one }));
    const picked = shown.length < 2 ? shown[0] : await window.showQuickPick(shown);
    if (picked) await this.compare(path, picked.one);
  }

  private async compare(path: string, { account, name, etag }: Theirs): Promise<void> {
    const { vscode, open } = this.bench;
    const at = { path: `/${open.project.slug}/${path}` };
    const theirs = vscode.Uri.from({ scheme: COMMITTED, ...at, query: `draft:${account}:${etag}` });
    const ours = vscode.Uri.from({ scheme: SCHEME, ...at });
    await vscode.commands.executeCommand('vscode.diff', theirs, ours, t('colleagueDiff', { name, path }));
  }

  /** The text that such an address stands for. */
  async text(path: string, query: string): Promise<string> {
    const [, account = ''] = query.split(':');
    const { project, files } = this.bench.open;
    const body = await call('get_draft', { path: { project: project.slug }, query: { branch: files.branch, path, account } });
    return body === undefined ? '' : new TextDecoder().decode(body as ArrayBuffer);
  }
}

export const isColleagueDraft = (query: string) => query.startsWith('draft:');
