import { address } from '../api/client';
import { t } from '../i18n';

/** Links to a folder, or the whole project, as one file. */
export function Archive({ slug, branch, path = '', name }: { slug: string; branch: string; path?: string; name: string }) {
  const link = (format: string, text: string) => (
    <a
      href={address('get_archive', { path: { project: slug }, query: { ref: branch, path, format } })}
      download
      aria-label={`${text}: ${name}`}
    >
      {format}
    </a>
  );
  return (
    <span class="archive">
      {link('zip', t('project.archive.zip'))} {link('tar.gz', t('project.archive.tar'))}
    </span>
  );
}
