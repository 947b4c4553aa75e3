import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { TagView } from '../api/generated';
import { t } from '../i18n';
import { Archive } from '../parts/Archive';
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

function NewTag({ slug, from, onDone, onClose }: { slug: string; from: string; onDone: () => void; onClose: () => void }) {
  return (
    <Dialog title={t('tags.new')} onClose={onClose}>
      <Form
        submit={t('tags.create')}
        onCancel={onClose}
        action={async (values) => {
          const body = { name: values.name ?? '', target: values.target ?? '', message: values.message || null };
          await call('create_tag', { path: { project: slug }, body });
          onDone();
        }}
      >
        <label>
          {t('branches.name')}
          <input name="name" required autofocus spellcheck={false} placeholder="v1.0.0" />
        </label>
        <label>
          {t('environments.deploy.what')}
          <input name="target" required defaultValue={from} spellcheck={false} />
        </label>
        <label>
          {t('tags.message')}
          <input name="message" maxLength={500} />
          <small>{t('tags.message.hint')}</small>
        </label>
      </Form>
    </Dialog>
  );
}

export function Tags() {
  const { project } = useProject();
  const { slug } = project;
  const path = { project: slug };
  const [creating, setCreating] = useState(false);
  const [deleting, setDeleting] = useState<TagView | undefined>();
  const pages = usePages((cursor) => call('list_tags', { path, query: page(cursor, 100) }), slug);
  useEvents(project, ['git.'], pages.reload);
  return (
    <>
      <BranchTabs current="tags" />
      <header class="title">
        <h1>{t('project.tags')}</h1>
        <button type="button" class="primary" onClick={() => setCreating(true)}>
          {t('tags.new')}
        </button>
      </header>
      <List
        pages={pages}
        empty={
          <Empty title={t('tags.none')}>
            <p>{t('tags.none.hint')}</p>
          </Empty>
        }
      >
        {(tags) => (
          <ul class="rows">
            {tags.map((tag) => (
              <li key={tag.name}>
                <a class="grow" href={href(['p', slug, 'files'], { ref: tag.name })}>
                  {tag.name}
                </a>
                <Archive slug={slug} branch={tag.name} name={tag.name} />
                <a href={href(['p', slug, 'commits', tag.commit])}>
                  <code>{tag.commit.slice(0, 8)}</code>
                </a>
                <button type="button" aria-label={`${t('app.delete')}: ${tag.name}`} onClick={() => setDeleting(tag)}>
                  {t('app.delete')}
                </button>
              </li>
            ))}
          </ul>
        )}
      </List>
      {creating && (
        <NewTag
          slug={slug}
          from={project.default_branch}
          onClose={() => setCreating(false)}
          onDone={() => {
            setCreating(false);
            pages.reload();
          }}
        />
      )}
      {deleting && (
        <DeleteRef
          question={t('tags.delete.ask', { name: deleting.name })}
          deleted={t('tags.deleted', { name: deleting.name })}
          remove={() => call('delete_tag', { path: { ...path, tag: deleting.name } })}
          restore={() => call('create_tag', { path, body: { name: deleting.name, target: deleting.commit } })}
          onChange={pages.reload}
          onClose={() => setDeleting(undefined)}
        />
      )}
    </>
  );
}
