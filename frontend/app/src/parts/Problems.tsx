import { call } from '../api/client';
import { t, type TextKey } from '../i18n';
import { useLoaded } from '../state/loaded';

const LOOKED_AT = /(^|\/)(template\.ya?ml|template\.json|samconfig\.toml)$/;

/** What the platform finds in a template or in its settings, as they are written. */
export function Problems({
  slug,
  branch,
  path,
  text,
  version,
  onLine,
}: {
  slug: string;
  branch: string;
  path: string;
  text: string;
  /** Changes when the text is worth another look. */
  version: number;
  onLine: (line: number) => void;
}) {
  const looked = LOOKED_AT.test(path);
  const found = useLoaded(
    async () =>
      looked ? call('diagnose', { path: { project: slug }, body: { path, content: text, branch } }) : { items: [] },
    `${slug} ${branch} ${path} ${version}`,
  );
  const items = found.value?.items ?? [];
  if (items.length === 0) return null;
  return (
    <section class="problems" aria-label={t('problems.title')}>
      <h2>{t('problems.title')}</h2>
      <ul class="rows">
        {items.map((item, index) => (
          <li key={index}>
            <span class={`state ${item.severity === 'error' ? 'failed' : 'queued'}`}>
              {t(`problems.${item.severity}` as TextKey)}
            </span>
            <button type="button" class="link grow" onClick={() => onLine(item.line)}>
              {item.message}
            </button>
            <code>
              {item.path}:{item.line}:{item.column}
            </code>
          </li>
        ))}
      </ul>
    </section>
  );
}
