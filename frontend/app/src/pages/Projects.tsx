import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { ProjectView } from '../api/generated';
import { t, type TextKey } from '../i18n';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { recent } from '../state/recent';
import { href } from '../state/router';

function matches(project: ProjectView, text: string): boolean {
  const wanted = text.toLowerCase();
  return [project.name, project.slug, project.description].some((field) => field.toLowerCase().includes(wanted));
}

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
  const pages = usePages((cursor) => call('list_projects', { query: page(cursor, 200) }), 'projects');
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
      {pages.items.length > 0 && (
        <input
          type="search"
          placeholder={t('projects.search')}
          aria-label={t('projects.search')}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
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
            <Empty title={t('projects.empty')}>
              <p>{t('projects.empty.hint')}</p>
              <a class="button primary" href={href(['new'])}>
                {t('projects.new')}
              </a>
            </Empty>
          }
        >
          {(items) => {
            const found = items.filter((project) => matches(project, text));
            return found.length === 0 ? (
              <p>{t('app.noMatch', { text })}</p>
            ) : (
              <ul class="rows">
                {found.map((project) => (
                  <Row key={project.id} project={project} />
                ))}
              </ul>
            );
          }}
        </List>
      </section>
    </main>
  );
}
