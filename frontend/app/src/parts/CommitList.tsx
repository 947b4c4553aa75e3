import type { CommitView } from '../api/generated';
import { t } from '../i18n';
import { href } from '../state/router';
import { Avatar } from './Avatar';
import { Moment } from './Moment';

/** The first line of a commit's message. */
export function subject(commit: CommitView): string {
  return commit.message.split('\n', 1)[0] || commit.id.slice(0, 8);
}

export function CommitList({ slug, commits }: { slug: string; commits: CommitView[] }) {
  return (
    <ul class="rows">
      {commits.map((commit) => (
        <li key={commit.id}>
          <Avatar name={commit.author.name} />
          <a class="grow" href={href(['p', slug, 'commits', commit.id])}>
            {subject(commit)}
          </a>
          <span class="quiet">{commit.author.name}</span>
          <code title={t('commits.title')}>{commit.id.slice(0, 8)}</code>
          <Moment at={commit.committer.at} />
        </li>
      ))}
    </ul>
  );
}
