import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { ProjectView } from '../api/generated';
import { t } from '../i18n';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { QuotaDialog } from '../parts/QuotaDialog';
import { SearchField } from '../parts/SearchField';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { href } from '../state/router';

/** Every project of the platform. */
export function AdminProjects() {
  const [text, setText] = useState('');
  const [changing, setChanging] = useState<ProjectView | undefined>();
  const pages = usePages(
    (cursor) => call('list_projects', { query: { all: true, q: text, ...page(cursor, 50) } }),
    `all projects ${text}`,
  );
  return (
    <>
      <h2 class="hidden">{t('admin.projects')}</h2>
      <SearchField label={t('projects.search')} value={text} onSearch={setText} />
      <List
        pages={pages}
        empty={<Empty title={text === '' ? t('usage.none') : t('app.noMatch', { text })} />}
      >
        {(projects) => (
          <ul class="rows">
            {projects.map((project) => (
              <li key={project.id}>
                <span class="grow">
                  <a href={href(['p', project.slug])}>{project.name}</a>
                  <br />
                  <span class="quiet">
                    {project.slug}
                    {project.description ? ` · ${project.description}` : ''}
                  </span>
                </span>
                <Moment at={project.created} />
                <button type="button" aria-label={t('quota.title', { name: project.name })} onClick={() => setChanging(project)}>
                  {t('quota.change')}
                </button>
              </li>
            ))}
          </ul>
        )}
      </List>
      {changing && <QuotaDialog slug={changing.slug} name={changing.name} onClose={() => setChanging(undefined)} />}
    </>
  );
}
