import { call } from '../api/client';
import { t } from '../i18n';
import { BranchPicker } from '../parts/BranchPicker';
import { CommitList } from '../parts/CommitList';
import { Empty } from '../parts/Empty';
import { FileHeader } from '../parts/FileHeader';
import { List } from '../parts/List';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { go, here, href } from '../state/router';

export function Commits() {
  const { project } = useProject();
  const { slug } = project;
  const branch = here.value.query.get('ref') ?? project.default_branch;
  const path = here.value.query.get('path') ?? '';
  // A folder's history is asked for with a slash at its end.
  const file = path !== '' && !path.endsWith('/');
  const pages = usePages(
    (cursor) => call('list_commits', { path: { project: slug }, query: { ref: branch, path: path.replace(/\/$/, ''), ...page(cursor, 50) } }),
    `${slug} ${branch} ${path}`,
  );
  useEvents(project, ['git.'], pages.reload);
  return (
    <>
      {file ? (
        <FileHeader branch={branch} path={path} page="commits" />
      ) : (
        <header class="title">
          <h1>{path === '' ? t('commits.title') : t('commits.of', { path })}</h1>
          <BranchPicker
            slug={slug}
            value={branch}
            onChange={(ref) => go(href(['p', slug, 'commits'], { ref, path }))}
          />
          <a class="button" href={href(['p', slug, 'compare'], { base: project.default_branch, head: branch })}>
            {t('compare.title')}
          </a>
        </header>
      )}
      <List pages={pages} empty={<Empty title={t('commits.none')} />}>
        {(commits) => <CommitList slug={slug} commits={commits} />}
      </List>
    </>
  );
}
