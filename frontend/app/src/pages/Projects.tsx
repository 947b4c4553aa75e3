import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { ProjectView } from '../api/generated';
import { t, type TextKey } from '../i18n';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { SearchField } from '../parts/SearchField';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { recent } from '../state/recent';
import { href } from '../state/router';

function Row({ project }: { project: ProjectView }) {
  return (
    <li>
      <a href={href(['p', project.slug])}>{project.name}</a>
      <span class="quiet grow">
        {project.slug}
        {project.description ? ` · ${project.description}` : ''}
      </span>
      {project.role && <span class="badge">{t(`role.${project.role}` as TextKey)}</span>}
      <Moment at={project.created} />
    </li>
  );
}

export function Projects() {
  const [text, setText] = useState('');
  const pages = usePages((cursor) => call('list_projects', { query: { q: text, ...page(cursor, 100) } }), `projects ${text}`);
  const visited = recent()
    .map((slug) => pages.items.find((project) => project.slug === slug))
    .filter((project) => project !== undefined);
  return (
    <main id="content">
      <header class="title">
        <h1>{t('projects.title')}</h1>
        <a class="button primary" href={href(['new'])}>
          {t('projects.new')}
        </a>
      </header>
      {(pages.items.length > 0 || text !== '') && (
        <SearchField label={t('projects.search')} value={text} onSearch={setText} />
      )}
      {text === '' && visited.length > 0 && pages.items.length > 5 && (
        <section>
          <h2>{t('projects.recent')}</h2>
          <ul class="rows">
            {visited.map((project) => (
              <Row key={project.id} project={project} />
            ))}
          </ul>
        </section>
      )}
      <section>
        <List
          pages={pages}
          empty={
            text !== '' ? (
              <Empty title={t('app.noMatch', { text })} />
            ) : (
              <Empty title={t('projects.empty')}>
                <p>{t('projects.empty.hint')}</p>
                <a class="button primary" href={href(['new'])}>
                  {t('projects.new')}
                </a>
              </Empty>
            )
          }
        >
          {(items) => (
            <ul class="rows">
              {items.map((project) => (
                <Row key={project.id} project={project} />
              ))}
            </ul>
          )}
        </List>
      </section>
    </main>
  );
}
