// Opens a project: `…/static/ide/index.html?project=SLUG&ref=BRANCH`.

import { call, Problem } from '../../app/src/api/client';
import { activate } from './platform/extension';
import { ProjectFiles } from './platform/files';
import { t } from './platform/texts';

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
  try {
    const [me, project] = await Promise.all([
      call('get_me', {}, { expectSignedOut: true }),
      call('get_project', { path: { project: slug } }, { expectSignedOut: true }),
    ]);
    const files = new ProjectFiles(project, address.get('ref') ?? project.default_branch);
    const [{ start }] = await Promise.all([import('./host/workbench'), files.refresh()]);
    opening?.remove();
    const open = { project, files };
    const vscode = await start(open);
    activate(vscode, open, { id: me.id, name: me.name }, {
      switchBranch: (ref) => location.assign(`?${new URLSearchParams({ project: slug, ref })}`),
      showPages: () => location.assign(`${pages}#/p/${encodeURIComponent(slug)}`),
    });
  } catch (error) {
    if (error instanceof Problem && error.status === 401) location.assign(pages);
    else say(t('failed', { reason: error instanceof Error ? error.message : String(error) }));
    throw error;
  }
}

void main();
