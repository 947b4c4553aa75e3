import { t } from '../i18n';
import { href } from '../state/router';

/** Where a file lies, each folder a link. */
export function Crumbs({ slug, branch, path }: { slug: string; branch: string; path: string }) {
  const parts = path.split('/').filter((part) => part !== '');
  const at = (depth: number) => href(['p', slug, 'files'], { ref: branch, path: parts.slice(0, depth).join('/') });
  return (
    <nav class="crumbs" aria-label={t('files.title')}>
      <a href={at(0)}>{slug}</a>
      {parts.map((part, index) => (
        <span key={index}>
          {' / '}
          {index === parts.length - 1 ? <b>{part}</b> : <a href={at(index + 1)}>{part}</a>}
        </span>
      ))}
    </nav>
  );
}
