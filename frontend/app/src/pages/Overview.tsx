import { useState } from 'preact/hooks';

import { base, call } from '../api/client';
import type { EnvironmentView } from '../api/generated';
import { t } from '../i18n';
import { CommitList } from '../parts/CommitList';
import { Copy } from '../parts/Copy';
import { Empty } from '../parts/Empty';
import { JobList } from '../parts/JobList';
import { Moment } from '../parts/Moment';
import { Readme } from '../parts/Readme';
import { Trouble } from '../parts/Trouble';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { go, href, ide } from '../state/router';

const SHOWN = 5;

function Environments({ slug, items }: { slug: string; items: EnvironmentView[] }) {
  return (
    <ul class="rows">
      {items.map((environment) => (
        <li key={environment.name}>
          <a class="grow" href={href(['p', slug, 'environments', environment.name])}>
            {environment.name}
          </a>
          <Moment at={environment.updated} />
          {environment.url ? (
            <a class="whole" href={environment.url} target="_blank" rel="noreferrer">
              {environment.url}
            </a>
          ) : (
            <span class="quiet whole">{t('project.notDeployed')}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

export function Overview() {
  const { project } = useProject();
  const { slug, default_branch: branch } = project;
  const path = { project: slug };
  const [error, setError] = useState<unknown>();
  const jobs = useLoaded(() => call('list_jobs', { path, query: { limit: SHOWN } }), `${slug} jobs`);
  const environments = useLoaded(() => call('list_environments', { path, query: { limit: 20 } }), `${slug} envs`);
  const commits = useLoaded(
    () => call('list_commits', { path, query: { ref: branch, limit: SHOWN } }).catch(() => ({ items: [] })),
    `${slug} commits`,
  );
  useEvents(project, ['job.', 'release.', 'environment.'], () => {
    jobs.reload();
    environments.reload();
  });
  useEvents(project, ['git.'], commits.reload);

  const start = async (what: 'build' | 'dev') => {
    setError(undefined);
    try {
      const job =
        what === 'build'
          ? await call('create_build', { path, body: { ref: branch } })
          : await call('publish_release', { path: { ...path, environment: what }, body: { ref: branch } });
      go(href(['p', slug, 'jobs', job.id]));
    } catch (failure) {
      setError(failure);
    }
  };
  const empty = commits.value !== undefined && commits.value.items.length === 0;
  return (
    <>
      <header class="title">
        <h1>{project.name}</h1>
        <a class="button" href={ide(slug)}>
          {t('project.ide')}
        </a>
        <button type="button" disabled={empty} onClick={() => void start('build')}>
          {t('project.build')}
        </button>
        <button type="button" class="primary" disabled={empty} onClick={() => void start('dev')}>
          {t('project.deploy', { environment: 'dev' })}
        </button>
      </header>
      {project.description && <p class="lead">{project.description}</p>}
      <Trouble error={error} />
      <div class="columns">
        <div>
          {empty && (
            <Empty title={t('project.empty')}>
              <p>{t('project.empty.hint')}</p>
            </Empty>
          )}
          {(commits.value?.items.length ?? 0) > 0 && (
            <section>
              <h2>{t('project.latestCommits')}</h2>
              <CommitList slug={slug} commits={commits.value?.items ?? []} />
            </section>
          )}
          {commits.value && !empty && <Readme slug={slug} branch={branch} path="" />}
        </div>
        <div>
          <section>
            <h2>{t('project.clone')}</h2>
            <Copy value={`git clone ${location.origin}${base()}${project.git_path}`} label={t('project.clone')} />
            <p class="quiet">
              {t('project.clone.hint')} <a href={href(['account'])}>{t('project.clone.token')}</a>
            </p>
          </section>
          <section>
            <h2>{t('project.environments')}</h2>
            {environments.value?.items.length === 0 ? (
              <p class="quiet">{t('environments.none')}</p>
            ) : (
              <Environments slug={slug} items={environments.value?.items ?? []} />
            )}
          </section>
          <section>
            <h2>{t('project.latestJobs')}</h2>
            {jobs.value?.items.length === 0 ? (
              <p class="quiet">{t('jobs.none')}</p>
            ) : (
              <JobList slug={slug} jobs={jobs.value?.items ?? []} />
            )}
          </section>
        </div>
      </div>
    </>
  );
}
