import { useState } from 'preact/hooks';

import { call, callVersioned } from '../api/client';
import type { FunctionView } from '../api/generated';
import { t } from '../i18n';
import { Confirm } from '../parts/Confirm';
import { Copy } from '../parts/Copy';
import { FollowedLog } from '../parts/FollowedLog';
import { Invoke } from '../parts/Invoke';
import { Moment } from '../parts/Moment';
import { Trouble } from '../parts/Trouble';
import { Unsupported } from '../parts/Unsupported';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { go, here, href, replace } from '../state/router';

function Function({ environment, found }: { environment: string; found: FunctionView }) {
  const { project } = useProject();
  return (
    <section class="card" aria-label={found.id}>
      <dl class="facts">
        <dt>{t('function.runtime')}</dt>
        <dd>{found.runtime}</dd>
        <dt>{t('function.handler')}</dt>
        <dd>
          <code>{found.handler}</code>
        </dd>
        <dt>{t('function.memory')}</dt>
        <dd>{found.memory_mb} MB</dd>
        <dt>{t('function.timeout')}</dt>
        <dd>{found.timeout_s} s</dd>
      </dl>
      {found.note && <p class="notice">{found.note}</p>}
      <Invoke slug={project.slug} branch={project.default_branch} environment={environment} id={found.id} />
      <h3>{t('function.logs')}</h3>
      <FollowedLog target={{ project: project.slug, environment, function: found.id }} label={t('function.logs')} />
    </section>
  );
}

export function Environment({ name }: { name: string }) {
  const { project } = useProject();
  const { slug } = project;
  const path = { project: slug, environment: name };
  const [removing, setRemoving] = useState(false);
  const loaded = useLoaded(() => callVersioned('get_environment', { path }), `${slug} ${name}`);
  const functions = useLoaded(() => call('list_functions', { path }), `${slug} ${name}`);
  useEvents(project, ['release.', 'environment.'], () => {
    loaded.reload();
    functions.reload();
  });
  const environment = loaded.value?.value;
  if (!environment) {
    return (
      <>
        <h1>{name}</h1>
        {loaded.loading ? <Waiting /> : <Trouble error={loaded.error} retry={loaded.reload} />}
      </>
    );
  }
  const items = functions.value?.items ?? [];
  const shown = items.find((found) => found.id === here.value.query.get('function')) ?? items[0];
  return (
    <>
      <header class="title">
        <h1>{name}</h1>
        {environment.url && (
          <a class="button primary" href={environment.url} target="_blank" rel="noreferrer">
            {t('project.openSite')}
          </a>
        )}
        <button type="button" onClick={() => setRemoving(true)}>
          {t('environments.remove')}
        </button>
      </header>
      <dl class="facts">
        {environment.url && (
          <>
            <dt>{t('environments.url')}</dt>
            <dd>
              <Copy value={environment.url} label={t('environments.url')} />
            </dd>
          </>
        )}
        <dt>{t('environments.release')}</dt>
        <dd>
          <code>{environment.release ?? t('app.none')}</code>{' '}
          {environment.commit && (
            <a href={href(['p', slug, 'commits', environment.commit])}>{environment.commit.slice(0, 8)}</a>
          )}
        </dd>
        <dt>{t('environments.updated')}</dt>
        <dd>
          <Moment at={environment.updated} />
        </dd>
        {Object.entries(environment.outputs).map(([output, value]) => (
          <>
            <dt>{output}</dt>
            <dd>
              <code>{String(value)}</code>
            </dd>
          </>
        ))}
      </dl>
      <Unsupported items={environment.unsupported} />
      <section>
        <h2>{t('environments.functions')}</h2>
        <Trouble error={functions.error} retry={functions.reload} />
        <nav class="tabs" aria-label={t('environments.functions')}>
          {items.map((found) => (
            <a
              key={found.id}
              href={href(['p', slug, 'environments', name], { function: found.id })}
              aria-current={found === shown ? 'page' : undefined}
              onClick={(event) => {
                event.preventDefault();
                replace(href(['p', slug, 'environments', name], { function: found.id }));
              }}
            >
              {found.id}
            </a>
          ))}
        </nav>
        {shown && <Function key={shown.id} environment={name} found={shown} />}
      </section>
      {removing && (
        <Confirm
          title={t('environments.remove')}
          question={t('environments.remove.ask', { name })}
          typed={name}
          onClose={() => setRemoving(false)}
          action={async () => {
            const job = await call('delete_environment', { path }, { ifMatch: loaded.value?.etag ?? '*' });
            go(href(['p', slug, 'jobs', job.id]));
          }}
        />
      )}
    </>
  );
}
