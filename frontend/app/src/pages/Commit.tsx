import { call } from '../api/client';
import { t } from '../i18n';
import { subject } from '../parts/CommitList';
import { Copy } from '../parts/Copy';
import { Diff } from '../parts/Diff';
import { Moment } from '../parts/Moment';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useProject } from '../state/project';
import { href } from '../state/router';

export function Commit({ id }: { id: string }) {
  const { project } = useProject();
  const { slug } = project;
  const commit = useLoaded(() => call('get_commit', { path: { project: slug, commit: id } }), `${slug} ${id}`);
  const diff = useLoaded(() => call('get_diff', { path: { project: slug }, query: { head: id } }), `${slug} ${id}`);
  const found = commit.value;
  if (!found) {
    return (
      <>
        <h1>{id.slice(0, 8)}</h1>
        {commit.loading ? <Waiting /> : <Trouble error={commit.error} retry={commit.reload} />}
      </>
    );
  }
  const body = found.message.split('\n').slice(1).join('\n').trim();
  return (
    <>
      <header class="title">
        <h1>{subject(found)}</h1>
        <a class="button" href={href(['p', slug, 'files'], { ref: id })}>
          {t('commits.browse')}
        </a>
      </header>
      {body && <pre class="readme">{body}</pre>}
      <p class="quiet">
        {found.author.name} · <Moment at={found.author.at} />
      </p>
      <p>
        <Copy value={found.id} label={t('commits.title')} />
      </p>
      {found.parents.length > 0 && (
        <p>
          {t('commits.parents')}{' '}
          {found.parents.map((parent) => (
            <a key={parent} href={href(['p', slug, 'commits', parent])}>
              <code>{parent.slice(0, 8)}</code>{' '}
            </a>
          ))}
        </p>
      )}
      <Trouble error={diff.error} retry={diff.reload} />
      {diff.loading && !diff.value && <Waiting />}
      {diff.value && <Diff diff={diff.value} />}
    </>
  );
}
