// Who is here, and in which file: said by this page, and shown of others.

import type * as Vscode from 'vscode';

import type { PresenceView } from '../../../../app/src/api/generated';
import { announce, people } from '../../../../app/src/state/socket';
import { activePath, type Bench, fileUri, pathOf, SCHEME } from '../project';
import { t } from '../texts';

/** Two letters for the explorer. */
export function initials(name: string): string {
  const [first = '', ...rest] = name.trim().split(/\s+/);
  const last = rest.at(-1);
  return (last ? (first[0] ?? '') + (last[0] ?? '') : first.slice(0, 2)).toUpperCase();
}

/** Other people: one for each, at the place that they chose last. */
export function others(people: readonly PresenceView[], me: string): PresenceView[] {
  const byPerson = new Map<string, PresenceView>();
  for (const person of people) {
    const known = byPerson.get(person.account);
    if (person.account !== me && (!known || known.since < person.since)) byPerson.set(person.account, person);
  }
  return [...byPerson.values()].sort((one, other) => one.name.localeCompare(other.name));
}

export class Presence implements Vscode.TreeDataProvider<PresenceView> {
  private people: PresenceView[] = [];
  private readonly item: Vscode.StatusBarItem;
  private readonly decorated: Vscode.EventEmitter<Vscode.Uri[]>;
  private readonly changed: Vscode.EventEmitter<undefined>;
  readonly onDidChangeTreeData: Vscode.Event<undefined>;

  constructor(private readonly bench: Bench) {
    const { vscode, open } = bench;
    const { window } = vscode;
    this.changed = new vscode.EventEmitter();
    this.onDidChangeTreeData = this.changed.event;
    this.decorated = new vscode.EventEmitter();
    this.item = window.createStatusBarItem('workroom.people', vscode.StatusBarAlignment.Right, 101);
    this.item.name = t('people');
    this.item.command = 'workroom.people.focus';
    window.registerTreeDataProvider('workroom.people', this);
    window.registerFileDecorationProvider({
      onDidChangeFileDecorations: this.decorated.event,
      provideFileDecoration: (uri) => this.decoration(uri),
    });
    people.subscribe((here) => this.show(here.get(open.project.id) ?? []));
    const say = () => announce(open.project.id, { branch: open.files.branch, path: activePath(bench) ?? null });
    window.onDidChangeActiveTextEditor(say);
    say();
  }

  private show(all: readonly PresenceView[]): void {
    const before = this.people;
    this.people = others(all, this.bench.person.id);
    this.item.text = `$(organization) ${this.people.length + 1}`;
    this.item.tooltip = this.people.map((person) => this.place(person)).join('\n') || t('onlyYou');
    this.item.show();
    this.changed.fire(undefined);
    const paths = new Set([...before, ...this.people].flatMap(({ path }) => path ?? []));
    this.decorated.fire([...paths].map((path) => fileUri(this.bench, path)));
  }

  private place({ name, path, branch }: PresenceView): string {
    return [name, path ?? t('noFileOpen'), branch && branch !== this.bench.open.files.branch ? branch : ''].filter(Boolean).join(' · ');
  }

  private decoration(uri: Vscode.Uri): Vscode.FileDecoration | undefined {
    if (uri.scheme !== SCHEME) return undefined;
    const path = pathOf(this.bench, uri);
    const here = this.people.filter((person) => person.path === path && person.branch === this.bench.open.files.branch);
    const [first] = here;
    if (!first) return undefined;
    return { badge: initials(first.name), tooltip: t('isHere', { names: here.map(({ name }) => name).join(', ') }) };
  }

  getChildren(person?: PresenceView): PresenceView[] {
    return person ? [] : this.people;
  }

  getTreeItem(person: PresenceView): Vscode.TreeItem {
    const { vscode } = this.bench;
    const item = new vscode.TreeItem(person.name);
    const { path } = person;
    item.description = [path, person.branch === this.bench.open.files.branch ? '' : person.branch].filter(Boolean).join(' · ');
    item.iconPath = new vscode.ThemeIcon('account');
    if (path) item.command = { title: path, command: 'vscode.open', arguments: [fileUri(this.bench, path)] };
    return item;
  }
}
