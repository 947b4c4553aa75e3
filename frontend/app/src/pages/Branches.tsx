import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { BranchView } from '../api/generated';
import { t } from '../i18n';
import { BranchPicker } from '../parts/BranchPicker';
import { BranchTabs } from '../parts/BranchTabs';
import { DeleteRef } from '../parts/DeleteRef';
import { Dialog } from '../parts/Dialog';
import { Empty } from '../parts/Empty';
import { Form } from '../parts/Form';
import { List } from '../parts/List';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { href } from '../state/router';

export function Branches() {
  const { project } = useProject();
  const { slug } = project;
  const path = { project: slug };
  const [creating, setCreating] = useState(false);
  const [from, setFrom] = useState(project.default_branch);
  const [deleting, setDeleting] = useState<BranchView | undefined>();
  const pages = usePages((cursor) => call('list_branches', { path, query: page(cursor, 100) }), slug);
  useEvents(project, ['git.'], pages.reload);
  return (
    <>
      <BranchTabs current="branches" />
      <header class="title">
        <h1>{t('branches.title')}</h1>
        <button type="button" class="primary" onClick={() => setCreating(true)}>
          {t('branches.new')}
        </button>
      </header>
      <List pages={pages} empty={<Empty title={t('project.empty')} />}>
        {(branches) => (
          <ul class="rows">
            {branches.map((branch) => (
              <li key={branch.name}>
                <a href={href(['p', slug, 'files'], { ref: branch.name })}>{branch.name}</a>
                {branch.default && <span class="badge">{t('branches.default')}</span>}
                {branch.protected && <span class="badge">{t('branches.protected')}</span>}
                <span class="grow" />
                <a href={href(['p', slug, 'compare'], { base: project.default_branch, head: branch.name })}>
                  {t('compare.title')}
                </a>
                <a href={href(['p', slug, 'commits', branch.commit])}>
                  <code>{branch.commit.slice(0, 8)}</code>
                </a>
                {!branch.default && (
                  <button type="button" aria-label={`${t('app.delete')}: ${branch.name}`} onClick={() => setDeleting(branch)}>
                    {t('app.delete')}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
      </List>
      {creating && (
        <Dialog title={t('branches.new')} onClose={() => setCreating(false)}>
          <Form
            submit={t('branches.create')}
            onCancel={() => setCreating(false)}
            action={async (values) => {
              await call('create_branch', { path, body: { name: values.name ?? '', from } });
              setCreating(false);
              pages.reload();
            }}
          >
            <label>
              {t('branches.name')}
              <input name="name" required autofocus spellcheck={false} />
            </label>
            <BranchPicker slug={slug} label={t('branches.from')} value={from} onChange={setFrom} />
          </Form>
        </Dialog>
      )}
      {deleting && (
        <DeleteRef
          question={t('branches.delete.ask', { name: deleting.name })}
          deleted={t('branches.deleted', { name: deleting.name })}
          remove={() => call('delete_branch', { path: { ...path, branch: deleting.name }, query: { commit: deleting.commit } })}
          restore={() => call('create_branch', { path, body: { name: deleting.name, from: deleting.commit } })}
          onChange={pages.reload}
          onClose={() => setDeleting(undefined)}
        />
      )}
    </>
  );
}
