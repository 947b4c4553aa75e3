import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { Operations } from '../api/generated';
import { bytes, t, type TextKey } from '../i18n';
import { Archive } from '../parts/Archive';
import { BranchPicker } from '../parts/BranchPicker';
import { Crumbs } from '../parts/Crumbs';
import { Dialog } from '../parts/Dialog';
import { Drafts } from '../parts/Drafts';
import { Empty } from '../parts/Empty';
import { Form } from '../parts/Form';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { Readme } from '../parts/Readme';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { go, here, href, ide } from '../state/router';

type Entry = Operations['list_tree']['result']['items'][number];

/** Folders first, as people look for them. */
function sorted(entries: readonly Entry[]): Entry[] {
  const rank = (entry: Entry) => (entry.kind === 'folder' ? 0 : 1);
  return [...entries].sort((one, other) => rank(one) - rank(other));
}

function NewFile({ slug, branch, folder, onClose }: { slug: string; branch: string; folder: string; onClose: () => void }) {
  const open = async (path: string) => go(href(['p', slug, 'file'], { ref: branch, path, new: '1' }));
  return (
    <Dialog title={t('files.new')} onClose={onClose}>
      <Form submit={t('files.new')} onCancel={onClose} action={(values) => open(values.path ?? '')}>
        <label>
          {t('files.new.path')}
          <input name="path" required autofocus defaultValue={folder === '' ? '' : `${folder}/`} spellcheck={false} />
        </label>
      </Form>
    </Dialog>
  );
}

export function Files() {
  const { project } = useProject();
  const { slug } = project;
  const branch = here.value.query.get('ref') ?? project.default_branch;
  const path = here.value.query.get('path') ?? '';
  const [creating, setCreating] = useState(false);
  const pages = usePages(
    (cursor) =>
      call('list_tree', { path: { project: slug }, query: { ref: branch, path, last_commit: true, ...page(cursor, 200) } }),
    `${slug} ${branch} ${path}`,
  );
  useEvents(project, ['git.'], pages.reload);
  const child = (name: string) => (path === '' ? name : `${path}/${name}`);
  return (
    <>
      <header class="title">
        <h1 class="hidden">{t('files.title')}</h1>
        <Crumbs slug={slug} branch={branch} path={path} />
        <BranchPicker slug={slug} value={branch} onChange={(chosen) => go(href(['p', slug, 'files'], { ref: chosen }))} />
        <a class="button" href={href(['p', slug, 'commits'], { ref: branch, path: path === '' ? '' : `${path}/` })}>
          {t('files.history')}
        </a>
        <a class="button" href={ide(slug, branch)}>
          {t('project.ide')}
        </a>
        <button type="button" onClick={() => setCreating(true)}>
          {t('files.new')}
        </button>
      </header>
      <Drafts branch={branch} />
      <List pages={pages} empty={<Empty title={t(path === '' ? 'project.empty' : 'files.emptyFolder')} />}>
        {(entries) => (
          <ul class="rows files">
            {sorted(entries).map((entry) => (
              <li key={entry.name}>
                <span class={`icon ${entry.kind}`} role="img" aria-label={t(`files.${entry.kind}` as TextKey)} />
                {entry.kind === 'submodule' ? (
                  <span class="grow">{entry.name}</span>
                ) : (
                  <a
                    class="grow"
                    href={href(['p', slug, entry.kind === 'folder' ? 'files' : 'file'], {
                      ref: branch,
                      path: child(entry.name),
                    })}
                  >
                    {entry.name}
                  </a>
                )}
                {entry.last_commit && (
                  <a class="last quiet" href={href(['p', slug, 'commits', entry.last_commit.id])}>
                    {entry.last_commit.summary}
                  </a>
                )}
                <span class="size quiet">{typeof entry.size === 'number' ? bytes(entry.size) : ''}</span>
                {entry.last_commit && <Moment at={entry.last_commit.time} />}
              </li>
            ))}
          </ul>
        )}
      </List>
      <p class="quiet">
        {t('project.archive')}: <Archive slug={slug} branch={branch} path={path} name={path || slug} />
      </p>
      {path !== '' && <Readme slug={slug} branch={branch} path={path} />}
      {creating && <NewFile slug={slug} branch={branch} folder={path} onClose={() => setCreating(false)} />}
    </>
  );
}
