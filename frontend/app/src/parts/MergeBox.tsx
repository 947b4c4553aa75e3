import { call, Problem } from '../api/client';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { go, href } from '../state/router';
import { tell } from '../state/notice';
import { Form } from './Form';
import { lazy } from './lazy';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

const Conflicts = lazy(async () => (await import('./Conflicts')).Conflicts);

/** What merging `from` into `into` would do, and the way to do it. */
export function MergeBox({ into, from }: { into: string; from: string }) {
  const { project } = useProject();
  const { slug } = project;
  const preview = useLoaded(
    () => call('preview_merge', { path: { project: slug }, query: { into, from } }),
    `${slug} ${into} ${from}`,
  );
  useEvents(project, ['git.'], preview.reload);
  const found = preview.value;
  if (!found) return preview.loading ? <Waiting /> : <Trouble error={preview.error} retry={preview.reload} />;
  const done = (commit: { id: string }) => {
    tell(t('merge.done', { from, into }));
    go(href(['p', slug, 'commits', commit.id]));
  };
  const merge = async (message: string) => {
    const body = { into, from, message: message || null, expected_into: found.into_commit };
    try {
      done((await call('create_merge', { path: { project: slug }, body })).commit);
    } catch (error) {
      // The branch moved, and now there is something to decide.
      if (error instanceof Problem && error.code === 'merge-conflict') preview.reload();
      throw error;
    }
  };
  switch (found.kind) {
    case 'up-to-date':
      return <p class="quiet">{t('merge.upToDate', { from, into })}</p>;
    case 'conflict':
      return (
        <Conflicts
          key={`${found.into_commit} ${found.from_commit}`}
          slug={slug}
          into={into}
          from={from}
          preview={found}
          onDone={done}
        />
      );
    default:
      return (
        <section class="card">
          <h2>{t('merge.title', { from, into })}</h2>
          <p>{t(found.kind === 'fast-forward' ? 'merge.fastForward' : 'merge.clean', { into })}</p>
          <Form submit={t('merge.commit', { into })} action={(values) => merge(values.message ?? '')}>
            {found.kind === 'merge' && (
              <label>
                {t('files.commit.message')}
                <input name="message" defaultValue={`Merge ${from} into ${into}`} />
              </label>
            )}
          </Form>
        </section>
      );
  }
}
