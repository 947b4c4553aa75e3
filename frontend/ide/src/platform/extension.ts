// The platform inside the workbench: one module against the public `vscode` API. It knows nothing of what hosts it.

import type * as Vscode from 'vscode';

import { call } from '../../../app/src/api/client';
import type { EventView } from '../../../app/src/api/generated';
import { all, page } from '../../../app/src/state/paging';
import { connection, follow } from '../../../app/src/state/socket';
import { COMMITTED, type OpenProject, type Person } from './project';
import { Run } from './run';
import { SourceControl } from './source-control';
import { t } from './texts';

/** Commands, as `package.json` of an extension has them. */
export const CONTRIBUTIONS = {
  commands: [
    { command: 'workroom.commit', title: 'Commit', category: 'Workroom', icon: '$(check)' },
    { command: 'workroom.discard', title: 'Discard Draft', category: 'Workroom', icon: '$(discard)' },
    { command: 'workroom.leave', title: 'Leave Out of the Commit', category: 'Workroom', icon: '$(remove)' },
    { command: 'workroom.take', title: 'Take Into the Commit', category: 'Workroom', icon: '$(add)' },
    { command: 'workroom.branch', title: 'Switch Branch…', category: 'Workroom' },
    { command: 'workroom.build', title: 'Build', category: 'Workroom', icon: '$(tools)' },
    { command: 'workroom.deploy', title: 'Deploy…', category: 'Workroom', icon: '$(rocket)' },
    { command: 'workroom.invoke', title: 'Invoke Function…', category: 'Workroom' },
    { command: 'workroom.logs', title: 'Follow Function Log…', category: 'Workroom' },
    { command: 'workroom.openSite', title: 'Open Live Site', category: 'Workroom', icon: '$(globe)' },
    { command: 'workroom.projects', title: 'Project Pages', category: 'Workroom' },
  ],
  keybindings: [
    { command: 'workroom.build', key: 'ctrl+shift+b', mac: 'cmd+shift+b' },
    { command: 'workroom.deploy', key: 'ctrl+alt+d', mac: 'cmd+alt+d' },
  ],
  menus: {
    'scm/title': [
      { command: 'workroom.commit', when: 'scmProvider == workroom', group: 'navigation@1' },
      { command: 'workroom.build', when: 'scmProvider == workroom', group: 'navigation@2' },
      { command: 'workroom.deploy', when: 'scmProvider == workroom', group: 'navigation@3' },
    ],
    'scm/resourceState/context': [
      { command: 'workroom.discard', when: 'scmProvider == workroom', group: 'inline@1' },
      { command: 'workroom.leave', when: 'scmResourceGroup == changes', group: 'inline@2' },
      { command: 'workroom.take', when: 'scmResourceGroup == left', group: 'inline@2' },
    ],
  },
};

export interface Surroundings {
  /** Goes to another branch of the project. */
  switchBranch(branch: string): void;
  /** Goes to the project's pages. */
  showPages(): void;
}

export function activate(vscode: typeof Vscode, open: OpenProject, person: Person, surroundings: Surroundings): void {
  const { files, project } = open;
  const problems = vscode.languages.createDiagnosticCollection('workroom');
  const control = new SourceControl(vscode, open);
  const run = new Run(vscode, open, control, problems);

  vscode.workspace.registerTextDocumentContentProvider(COMMITTED, {
    // A file that is not committed yet has an empty other side.
    provideTextDocumentContent: (uri) =>
      files.readCommitted(control.path(uri)).then(
        (bytes) => new TextDecoder().decode(bytes),
        () => '',
      ),
  });

  const commands: Record<string, (...given: never[]) => unknown> = {
    commit: () => control.commit(),
    discard: (...states: Vscode.SourceControlResourceState[]) => control.discard(states),
    leave: (state: Vscode.SourceControlResourceState) => control.leave(state),
    take: (state: Vscode.SourceControlResourceState) => control.take(state),
    branch: () => chooseBranch(vscode, open, surroundings),
    build: () => run.build(),
    deploy: () => run.deploy(),
    invoke: () => run.invoke(),
    logs: () => run.logs(),
    openSite: () => run.openSite(),
    projects: () => surroundings.showPages(),
  };
  for (const [name, action] of Object.entries(commands)) {
    vscode.commands.registerCommand(`workroom.${name}`, async (...given: never[]) => {
      try {
        await action(...given);
      } catch (error) {
        void vscode.window.showErrorMessage(error instanceof Error ? error.message : String(error));
      }
    });
  }

  showStatus(vscode, open);
  follow(
    project.id,
    (event) => void happened(event),
    () => void files.refresh().then(() => run.look()),
  );

  async function happened(event: EventView): Promise<void> {
    if (event.type.startsWith('job.')) await run.jobChanged(String(event.detail.job ?? ''));
    if (event.type.startsWith('draft.') || event.type === 'git.pushed') {
      const before = files.head;
      await files.refresh();
      if (files.head !== before && event.actor !== person.id) {
        vscode.window.setStatusBarMessage(t('pushed', { name: event.actor, branch: files.branch }), 8000);
      }
    }
  }
}

function showStatus(vscode: typeof Vscode, { files }: OpenProject): void {
  const branch = vscode.window.createStatusBarItem('workroom.branch', vscode.StatusBarAlignment.Left, 100);
  branch.text = `$(git-branch) ${files.branch}`;
  branch.command = 'workroom.branch';
  branch.show();
  const deploy = vscode.window.createStatusBarItem('workroom.deploy', vscode.StatusBarAlignment.Left, 99);
  deploy.text = '$(rocket) Deploy';
  deploy.command = 'workroom.deploy';
  deploy.show();
  const site = vscode.window.createStatusBarItem('workroom.site', vscode.StatusBarAlignment.Left, 98);
  site.text = '$(globe) Site';
  site.command = 'workroom.openSite';
  site.show();
  const pages = vscode.window.createStatusBarItem('workroom.pages', vscode.StatusBarAlignment.Right, 100);
  pages.text = '$(home) Workroom';
  pages.command = 'workroom.projects';
  pages.show();
  const live = vscode.window.createStatusBarItem('workroom.live', vscode.StatusBarAlignment.Right, 99);
  connection.subscribe((state) => {
    live.text = state === 'open' ? '$(broadcast)' : '$(sync~spin)';
    live.tooltip = state;
    live.show();
  });
}

async function chooseBranch(vscode: typeof Vscode, open: OpenProject, to: Surroundings): Promise<void> {
  const at = { project: open.project.slug };
  const branches = await all((cursor) => call('list_branches', { path: at, query: page(cursor, 200) }));
  const names = [t('newBranch'), ...branches.map((branch) => branch.name)];
  const picked = await vscode.window.showQuickPick(names, { placeHolder: t('chooseBranch') });
  if (picked === undefined) return;
  if (picked !== t('newBranch')) {
    to.switchBranch(picked);
    return;
  }
  const prompt = t('newBranchName', { branch: open.files.branch });
  const name = await vscode.window.showInputBox({ prompt });
  if (!name) return;
  await call('create_branch', { path: at, body: { name, from: open.files.branch } });
  to.switchBranch(name);
}
