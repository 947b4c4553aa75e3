// Opens a project: `…/static/ide/index.html?project=SLUG&ref=BRANCH&path=FILE&line=N`; only the project is needed.

import { call, callVersioned, Problem } from '../../app/src/api/client';
import { activate } from './platform/extension';
import { IndexedKeep } from './platform/files/indexed-keep';
import { ProjectFiles } from './platform/files/project-files';
import { type Bench, fileUri } from './platform/project';
import { chosenLanguage, t } from './platform/texts';

const pages = new URL('../index.html', location.href).href;

async function main(): Promise<void> {
  const address = new URLSearchParams(location.search);
  const slug = address.get('project');
  const opening = document.getElementById('opening');
  const say = (text: string) => {
    if (opening) opening.textContent = text;
  };
  if (!slug) {
    say(t('noProject'));
    location.assign(pages);
    return;
  }
  say(t('opening', { project: slug }));
  // The workbench takes them in when it starts; without an answer it has what this browser has.
  const settings = callVersioned('get_settings', {}, { expectSignedOut: true }).catch(() => undefined);
  try {
    const [me, project] = await Promise.all([
      call('get_me', {}, { expectSignedOut: true }),
      call('get_project', { path: { project: slug } }, { expectSignedOut: true }),
    ]);
    const branch = address.get('ref') ?? project.default_branch;
    const files = new ProjectFiles(project, branch, new IndexedKeep([me.id, project.id, branch].join('\n')));
    const [{ start }] = await Promise.all([workbench(), files.refresh()]);
    opening?.remove();
    const open = { project, files };
    const vscode = await start(open, settings);
    const bench: Bench = {
      vscode,
      open,
      person: { id: me.id, name: me.name },
      around: {
        switchBranch: (ref) => location.assign(`?${new URLSearchParams({ project: slug, ref })}`),
        showPages: (part) => location.assign(`${pages}#/p/${encodeURIComponent(slug)}${part ? `/${part}` : ''}`),
        download: (href) => Object.assign(document.createElement('a'), { href, download: '' }).click(),
      },
    };
    activate(bench);
    const path = address.get('path');
    if (path) await show(bench, path, Number(address.get('line') ?? 1));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) location.assign(pages);
    else say(t('failed', { reason: error instanceof Error ? error.message : String(error) }));
    throw error;
  }
}

/** The workbench, which reads its texts in the person's language while it is evaluated. */
async function workbench() {
  if (chosenLanguage() === 'ko') await import('./host/korean').catch(() => undefined);
  return import('./host/workbench');
}

/** The file that the address names. */
async function show(bench: Bench, path: string, line: number): Promise<void> {
  const { Range } = bench.vscode;
  const at = Math.max(0, (Number.isFinite(line) ? line : 1) - 1);
  await bench.vscode.commands.executeCommand('vscode.open', fileUri(bench, path), { selection: new Range(at, 0, at, 0), preview: false });
}

void main();
