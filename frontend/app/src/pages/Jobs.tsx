import { call } from '../api/client';
import { t } from '../i18n';
import { Empty } from '../parts/Empty';
import { JobList } from '../parts/JobList';
import { List } from '../parts/List';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';

export function Jobs() {
  const { project } = useProject();
  const pages = usePages(
    (cursor) => call('list_jobs', { path: { project: project.slug }, query: page(cursor, 50) }),
    project.slug,
  );
  useEvents(project, ['job.'], pages.reload);
  return (
    <>
      <h1>{t('jobs.title')}</h1>
      <List pages={pages} empty={<Empty title={t('jobs.none')} />}>
        {(jobs) => <JobList slug={project.slug} jobs={jobs} />}
      </List>
    </>
  );
}
