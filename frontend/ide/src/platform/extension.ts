// The platform inside the workbench: one module against the public `vscode` API. It knows nothing of what hosts it.

import { call } from '../../../app/src/api/client';
import type { EventView } from '../../../app/src/api/generated';
import { follow } from '../../../app/src/state/socket';
import { Colleagues, isColleagueDraft } from './company/colleagues';
import { Presence } from './company/presence';
import { keepJournal } from './files/journal';
import { Transfer } from './files/transfer';
import { activePath, type Bench, COMMITTED, committedUri, fileUri, pathOf, reasonOf, SCHEME } from './project';
import { EnvironmentsView } from './run/environments-view';
import { FiguresView } from './run/figures-view';
import { Invoke } from './run/invoke';
import { Jobs } from './run/jobs';
import { JobsView } from './run/jobs-view';
import { LogChannels } from './run/log-channels';
import { TemplateHelp } from './run/template-help';
import { QuickOpen } from './search/quick-open';
import { registerSearch } from './search/register';
import { Blame } from './source-control/blame';
import { Branches } from './source-control/branches';
import { SourceControl } from './source-control/control';
import { DraftConflicts } from './source-control/draft-conflicts';
import { History } from './source-control/history';
import { MergeDesk } from './source-control/merge-desk';
import { Merging } from './source-control/merging';
import { Outdated } from './source-control/outdated';
import { showStatus } from './status';
import { t } from './texts';

/** What the commands and the events reach. */
function assemble(bench: Bench) {
  const desk = new MergeDesk(bench);
  const conflicts = new DraftConflicts(bench, desk);
  const control = new SourceControl(bench, conflicts, new Outdated(bench, desk));
  const branches = new Branches(bench, control);
  const history = new History(bench);
  const quickOpen = new QuickOpen(bench);
  const logs = new LogChannels(bench, quickOpen);
  const figures = new FiguresView(bench);
  logs.onRequests = (name, requests) => figures.add(name, requests);
  const jobs = new Jobs(bench, logs, quickOpen);
  const invoke = new Invoke(bench, logs, figures);
  const environments = new EnvironmentsView(bench, invoke);
  new JobsView(bench, jobs);
  new TemplateHelp(bench);
  return {
    conflicts,
    control,
    branches,
    history,
    blame: new Blame(bench),
    merging: new Merging(bench, desk, branches, history),
    jobs,
    invoke,
    environments,
    colleagues: new Colleagues(bench),
    presence: new Presence(bench),
    transfer: new Transfer(bench),
  };
}

type Parts = ReturnType<typeof assemble>;

function commandsOf(bench: Bench, parts: Parts): Record<string, (...given: never[]) => unknown> {
  const { control, branches, history, jobs, invoke } = parts;
  return {
    commit: () => control.commit(),
    amend: () => control.commit(true),
    stage: (...given) => control.stage(...given),
    unstage: (...given) => control.unstage(...given),
    discard: (...given) => control.discard(...given),
    resolve: (given) => control.resolve(given),
    completeMerge: () => bench.vscode.commands.executeCommand('mergeEditor.acceptMerge'),
    openChanges: (line) => openChanges(bench, line),
    branch: () => branches.switch(),
    createBranch: () => branches.create(),
    deleteBranch: () => branches.delete(),
    publish: () => branches.publish(),
    update: () => parts.merging.update(),
    history: (uri) => history.file(uri),
    log: () => history.branch(),
    blame: () => parts.blame.toggle(),
    cherryPick: () => parts.merging.cherryPick(),
    build: () => jobs.build(),
    deploy: (given) => jobs.deploy(given),
    cancel: (given) => jobs.cancel(given),
    jobLog: (given) => jobs.showLog(given),
    invoke: (given) => invoke.invoke(given),
    logs: (given) => invoke.follow(given),
    openSite: (given) => invoke.openSite(given),
    refresh: () => parts.environments.refresh(),
    download: (uri) => parts.transfer.download(uri),
    colleagueDraft: () => parts.colleagues.show(),
    sendNow: () => sendNow(bench, parts),
    projects: () => bench.around.showPages(),
  };
}

/** The open file beside its committed version, at a line. */
async function openChanges(bench: Bench, given: unknown): Promise<void> {
  const { vscode, open } = bench;
  const path = activePath(bench);
  if (path === undefined) return;
  const line = (typeof given === 'number' ? given : (vscode.window.activeTextEditor?.selection.active.line ?? 0) + 1) - 1;
  const sides = [committedUri(bench, path), fileUri(bench, path)];
  const options = { selection: new vscode.Range(line, 0, line, 0) };
  await vscode.commands.executeCommand('vscode.diff', ...sides, `${path} (${open.files.branch})`, options);
}

async function sendNow({ open }: Bench, { conflicts }: Parts): Promise<void> {
  await open.files.outbox.flush();
  for (const path of conflicts.list()) await conflicts.ask(path);
}

export function activate(bench: Bench): void {
  const { vscode, open } = bench;
  const { files } = open;
  files.isEdited = (path) =>
    vscode.workspace.textDocuments.some(({ uri, isDirty }) => isDirty && uri.scheme === SCHEME && pathOf(bench, uri) === path);
  const parts = assemble(bench);
  vscode.workspace.registerTextDocumentContentProvider(COMMITTED, {
    provideTextDocumentContent: (uri) => contentOf(bench, parts, pathOf(bench, uri), uri.query),
  });
  for (const [name, action] of Object.entries(commandsOf(bench, parts))) {
    vscode.commands.registerCommand(`workroom.${name}`, async (...given: never[]) => {
      try {
        await action(...given);
      } catch (error) {
        void vscode.window.showErrorMessage(reasonOf(error));
      }
    });
  }
  keepJournal(bench);
  showStatus(bench);
  registerSearch(bench);
  followProject(bench, parts);
  void files.outbox.restore();
}

/** The text of one side of a comparison. A file that is not there has an empty side. */
async function contentOf({ open }: Bench, { conflicts, colleagues }: Parts, path: string, query: string): Promise<string> {
  const side = conflicts.side(path, query);
  if (side !== undefined) return side;
  if (isColleagueDraft(query)) return colleagues.text(path, query);
  if (!/^[0-9a-f]{40}$/.test(query)) return '';
  const bytes = await open.files.commit(query).contentIfAny(path);
  return new TextDecoder().decode(bytes ?? new Uint8Array());
}

function followProject(bench: Bench, parts: Parts): void {
  const { open } = bench;
  const { files, project } = open;
  const look = async () => {
    await files.refresh();
    await files.outbox.flush();
    await parts.jobs.look();
  };
  follow(
    project.id,
    (event) => void happened(bench, parts, event).catch(() => undefined),
    () => void look().catch(() => undefined),
  );
  globalThis.addEventListener('online', () => void look().catch(() => undefined));
}

async function happened(bench: Bench, parts: Parts, event: EventView): Promise<void> {
  const { files } = bench.open;
  const { type, detail, actor } = event;
  if (type.startsWith('job.')) await parts.jobs.happened(String(detail.job ?? ''));
  if (type === 'release.published' || type.startsWith('environment.')) parts.environments.refresh();
  if (type.startsWith('draft.')) {
    if (actor === bench.person.id) await files.refresh();
    else parts.colleagues.happened(String(detail.path ?? activePath(bench) ?? ''));
  }
  if (type !== 'git.pushed') return;
  const before = files.head;
  await files.refresh();
  if (files.head !== before && actor !== bench.person.id) await incoming(bench, before, actor);
}

/** Says that someone pushed, and what. */
async function incoming({ vscode, open }: Bench, before: string, actor: string): Promise<void> {
  const { project, files } = open;
  const { items } = await call('list_members', { path: { project: project.slug }, query: { limit: 200 } });
  const name = items.find(({ account }) => account === actor)?.name ?? t('someone');
  const answer = await vscode.window.showInformationMessage(t('pushed', { name, branch: files.branch }), t('showChanges'));
  if (answer !== t('showChanges')) return;
  const { files: changed } = await call('get_diff', { path: { project: project.slug }, query: { base: before, head: files.head } });
  const uri = (path: string, query: string) => vscode.Uri.from({ scheme: COMMITTED, path: `/${project.slug}/${path}`, query });
  const sides = changed.map(({ old_path, new_path }) => {
    const [old, now] = [old_path ?? new_path ?? '', new_path ?? old_path ?? ''];
    return [uri(now, files.head), uri(old, before), uri(now, files.head)];
  });
  await vscode.commands.executeCommand('vscode.changes', `${files.branch} ${before.slice(0, 8)}…${files.head.slice(0, 8)}`, sides);
}
