import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { JobView } from '../api/generated';
import { bytes, duration, t } from '../i18n';
import { FollowedLog } from '../parts/FollowedLog';
import { isOpen, JobState, kindText } from '../parts/JobState';
import { Moment } from '../parts/Moment';
import { Positions } from '../parts/Positions';
import { Trouble } from '../parts/Trouble';
import { Unsupported } from '../parts/Unsupported';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { go, href } from '../state/router';
import type { Position } from '../text/positions';
import { type JobResult, readResult } from '../text/result';

function Result({ slug, job, result }: { slug: string; job: JobView; result: JobResult }) {
  const download = async (digest: string) => {
    const presigned = await call('get_artifact', { path: { project: slug, digest } });
    location.assign(presigned.url);
  };
  return (
    <>
      {result.url && (
        <p>
          <a class="button primary" href={result.url} target="_blank" rel="noreferrer">
            {t('project.openSite')}
          </a>{' '}
          <a href={result.url} target="_blank" rel="noreferrer">
            {result.url}
          </a>
        </p>
      )}
      <Unsupported items={result.unsupported} />
      {result.notes.length > 0 && (
        <section>
          <h2>{t('jobs.notes')}</h2>
          <ul>
            {result.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </section>
      )}
      {job.kind === 'build' && result.artifacts.length > 0 && (
        <section>
          <h2>{t('jobs.artifacts')}</h2>
          <ul class="rows">
            {result.artifacts.map((artifact) => (
              <li key={artifact.name}>
                <button type="button" class="link" onClick={() => void download(artifact.sha256)}>
                  {artifact.name}
                </button>
                <span class="quiet grow">{artifact.kind}</span>
                <span>{bytes(artifact.length)}</span>
                <code>{artifact.sha256.slice(0, 12)}</code>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

export function Job({ id }: { id: string }) {
  const { project } = useProject();
  const { slug } = project;
  const path = { project: slug, job: id };
  const loaded = useLoaded(() => call('get_job', { path }), `${slug} ${id}`);
  const [error, setError] = useState<unknown>();
  useEvents(project, ['job.'], (event) => {
    if (!event || event.detail.job === id || event.resource.includes(id)) loaded.reload();
  });
  const job = loaded.value;
  if (!job) {
    return (
      <>
        <h1>{t('jobs.title')}</h1>
        {loaded.loading ? <Waiting /> : <Trouble error={loaded.error} retry={loaded.reload} />}
      </>
    );
  }

  const attempt = async (action: () => Promise<unknown>) => {
    setError(undefined);
    try {
      await action();
    } catch (failure) {
      setError(failure);
    }
  };
  const cancel = () =>
    attempt(async () => {
      await call('cancel_job', { path });
      loaded.reload();
    });
  const deploy = (environment: string) =>
    attempt(async () => {
      const next = await call('publish_release', { path: { project: slug, environment }, body: { build: id } });
      go(href(['p', slug, 'jobs', next.id]));
    });
  const at = ({ path: file, line }: Position) =>
    href(['p', slug, 'file'], { ref: job.ref ?? job.commit ?? project.default_branch, path: file, line: String(line) });
  const { done, total, message } = job.progress;
  return (
    <>
      <header class="title">
        <h1>
          {kindText(job)}
          {job.environment ? ` · ${job.environment}` : ''}
        </h1>
        <JobState job={job} />
        {isOpen(job) && (
          <button type="button" disabled={job.cancel_requested} onClick={() => void cancel()}>
            {t(job.cancel_requested ? 'jobs.cancelling' : 'jobs.cancel')}
          </button>
        )}
        {job.kind === 'import' && job.state === 'succeeded' && (
          <a class="button primary" href={href(['p', slug])}>
            {t('jobs.import.done')}
          </a>
        )}
        {job.kind === 'build' &&
          job.state === 'succeeded' &&
          ['dev', 'prod'].map((environment) => (
            <button key={environment} type="button" onClick={() => void deploy(environment)}>
              {t('project.deploy', { environment })}
            </button>
          ))}
      </header>
      <p class="quiet">
        {job.ref ?? ''} {job.commit && <a href={href(['p', slug, 'commits', job.commit])}>{job.commit.slice(0, 8)}</a>}{' '}
        <Moment at={job.created} />
        {job.started && job.finished
          ? ` · ${t('jobs.duration', { duration: duration(job.finished - job.started) })}`
          : ''}
        {job.attempt > 1 ? ` · ${t('jobs.attempt', { number: job.attempt })}` : ''}
      </p>
      {isOpen(job) && (
        <div class="progress" role="status">
          <progress {...(total ? { value: done, max: total } : {})} aria-label={message || kindText(job)} />
          <span>{message}</span>
        </div>
      )}
      <Trouble error={error} />
      {job.error && (
        <div class="trouble" role="alert">
          <p>
            <Positions text={job.error} link={at} />
          </p>
          {job.kind === 'import' && <p>{t('jobs.import.failed')}</p>}
        </div>
      )}
      <Result slug={slug} job={job} result={readResult(job.result)} />
      <section>
        <h2>{t('jobs.log')}</h2>
        <FollowedLog target={{ project: slug, job: id }} label={t('jobs.log')} link={at} />
      </section>
    </>
  );
}
