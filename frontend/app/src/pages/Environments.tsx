import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { EnvironmentView, ReleaseView } from '../api/generated';
import { t } from '../i18n';
import { Dialog } from '../parts/Dialog';
import { Empty } from '../parts/Empty';
import { Form } from '../parts/Form';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { go, href } from '../state/router';

/** What every project has in its `samconfig.toml`, whether deployed yet or not. */
const USUAL = ['dev', 'prod'];

function Releases({ environments }: { environments: EnvironmentView[] }) {
  const { project } = useProject();
  const { slug } = project;
  const [chosen, setChosen] = useState<ReleaseView | undefined>();
  const pages = usePages(
    (cursor) => call('list_releases', { path: { project: slug }, query: page(cursor, 20) }),
    `${slug} releases`,
  );
  useEvents(project, ['release.'], pages.reload);
  if (pages.items.length === 0) return null;
  return (
    <section>
      <h2>{t('environments.releases')}</h2>
      <List pages={pages} empty={null}>
        {(releases) => (
          <ul class="rows">
            {releases.map((release) => (
              <li key={release.id}>
                <code>{release.id}</code>
                {environments
                  .filter((environment) => environment.release === release.id)
                  .map((environment) => (
                    <span key={environment.name} class="badge">
                      {environment.name}
                    </span>
                  ))}
                <span class="grow" />
                <a href={href(['p', slug, 'commits', release.commit])}>
                  <code>{release.commit.slice(0, 8)}</code>
                </a>
                <Moment at={release.created} />
                <button type="button" onClick={() => setChosen(release)}>
                  {t('environments.rollback')}
                </button>
              </li>
            ))}
          </ul>
        )}
      </List>
      {chosen && <Deploy what={{ release: chosen.id }} onClose={() => setChosen(undefined)} />}
    </section>
  );
}

function Deploy({ what, onClose }: { what: { release: string } | undefined; onClose: () => void }) {
  const { project } = useProject();
  const { slug } = project;
  return (
    <Dialog title={t('environments.deploy')} onClose={onClose}>
      <Form
        submit={t('environments.deploy')}
        onCancel={onClose}
        action={async (values) => {
          const path = { project: slug, environment: values.environment ?? '' };
          const body = what ?? { ref: values.ref ?? project.default_branch };
          const job = await call('publish_release', { path, body });
          go(href(['p', slug, 'jobs', job.id]));
        }}
      >
        <label>
          {t('environments.deploy.to')}
          <input name="environment" required list="environments" defaultValue="dev" spellcheck={false} />
          <datalist id="environments">
            {USUAL.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </label>
        {what ? (
          <p>
            {t('environments.release')} <code>{what.release}</code>
          </p>
        ) : (
          <label>
            {t('environments.deploy.what')}
            <input name="ref" required defaultValue={project.default_branch} spellcheck={false} />
          </label>
        )}
      </Form>
    </Dialog>
  );
}

export function Environments() {
  const { project } = useProject();
  const { slug } = project;
  const [deploying, setDeploying] = useState(false);
  const pages = usePages(
    (cursor) => call('list_environments', { path: { project: slug }, query: page(cursor, 100) }),
    slug,
  );
  useEvents(project, ['release.', 'environment.', 'job.'], pages.reload);
  const button = (
    <button type="button" class="primary" onClick={() => setDeploying(true)}>
      {t('environments.deploy')}
    </button>
  );
  return (
    <>
      <header class="title">
        <h1>{t('environments.title')}</h1>
        {button}
      </header>
      <List
        pages={pages}
        empty={
          <Empty title={t('environments.none')}>
            <p>{t('environments.none.hint')}</p>
          </Empty>
        }
      >
        {(environments) => (
          <ul class="rows">
            {environments.map((environment) => (
              <li key={environment.name}>
                <a href={href(['p', slug, 'environments', environment.name])}>{environment.name}</a>
                {environment.protected && <span class="badge">{t('branches.protected')}</span>}
                <span class="grow">
                  {environment.url ? (
                    <a href={environment.url} target="_blank" rel="noreferrer">
                      {environment.url}
                    </a>
                  ) : (
                    t('project.notDeployed')
                  )}
                </span>
                {environment.commit && <code>{environment.commit.slice(0, 8)}</code>}
                <Moment at={environment.updated} />
              </li>
            ))}
          </ul>
        )}
      </List>
      <Releases environments={pages.items} />
      {deploying && <Deploy what={undefined} onClose={() => setDeploying(false)} />}
    </>
  );
}
