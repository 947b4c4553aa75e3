import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { all, page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { go, href } from '../state/router';
import { CommitDialog } from './CommitDialog';
import { Moment } from './Moment';

/** The person's drafts on a branch, and the way to commit them. */
export function Drafts({ branch }: { branch: string }) {
  const { project } = useProject();
  const { slug } = project;
  const [committing, setCommitting] = useState(false);
  const drafts = useLoaded(
    () => all((cursor) => call('list_drafts', { path: { project: slug }, query: { branch, ...page(cursor, 200) } })),
    `${slug} ${branch}`,
  );
  useEvents(project, ['draft.', 'git.'], drafts.reload);
  const items = drafts.value ?? [];
  if (items.length === 0) return null;
  return (
    <section class="card">
      <header class="title">
        <h2>{t('files.drafts', { branch })}</h2>
        <button type="button" class="primary" onClick={() => setCommitting(true)}>
          {t('files.commit')}
        </button>
      </header>
      <ul class="rows">
        {items.map((draft) => (
          <li key={draft.path}>
            <a class="grow" href={href(['p', slug, 'file'], { ref: branch, path: draft.path })}>
              {draft.path}
            </a>
            {draft.deleted && <span class="badge">{t('files.deleted')}</span>}
            <Moment at={draft.updated} />
          </li>
        ))}
      </ul>
      {committing && (
        <CommitDialog
          slug={slug}
          branch={branch}
          drafts={items}
          onClose={() => setCommitting(false)}
          onDone={(commit) => go(href(['p', slug, 'commits', commit.id]))}
        />
      )}
    </section>
  );
}
