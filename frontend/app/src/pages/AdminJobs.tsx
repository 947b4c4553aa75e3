import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t, type TextKey } from '../i18n';
import { Empty } from '../parts/Empty';
import { JobList } from '../parts/JobList';
import { STATES } from '../parts/JobState';
import { List } from '../parts/List';
import { SearchField } from '../parts/SearchField';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';

/** Jobs of all projects, newest first. */
export function AdminJobs() {
  const [state, setState] = useState('');
  const [project, setProject] = useState('');
  const pages = usePages(
    (cursor) => call('list_all_jobs', { query: { state, project, ...page(cursor, 50) } }),
    `jobs ${state} ${project}`,
  );
  return (
    <>
      <h2 class="hidden">{t('jobs.title')}</h2>
      <div class="filters">
        <select aria-label={t('admin.state')} value={state} onChange={(event) => setState(event.currentTarget.value)}>
          <option value="">{t('admin.anyState')}</option>
          {STATES.map((name) => (
            <option key={name} value={name}>
              {t(`jobs.state.${name}` as TextKey)}
            </option>
          ))}
        </select>
        <SearchField label={t('admin.jobs.project')} value={project} onSearch={(text) => setProject(text.trim())} />
        <button type="button" onClick={pages.reload}>
          {t('app.reload')}
        </button>
      </div>
      <List pages={pages} empty={<Empty title={t(state || project ? 'audit.noMatch' : 'jobs.none')} />}>
        {(jobs) => <JobList jobs={jobs} />}
      </List>
    </>
  );
}
