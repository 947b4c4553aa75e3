import { call } from '../api/client';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { href } from '../state/router';
import { textOf } from '../text/content';
import { lazy } from './lazy';

const MarkdownText = lazy(async () => (await import('./MarkdownText')).MarkdownText);

const NAME = /^readme(\.md|\.txt)?$/i;
/** A longer one is read in the file view. */
const SHOWN_BYTES = 256 * 1024;

/** What a relative address in a document leads to: a path in the repository. */
export function beside(document: string, target: string): string | undefined {
  const path = target.replace(/[?#].*$/, '');
  if (path === '') return undefined;
  const from = path.startsWith('/') ? [] : document.split('/').slice(0, -1);
  const parts: string[] = [];
  for (const part of [...from, ...path.split('/')]) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.map(decoded).join('/');
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The folder's readme, if it has one. */
export function Readme({ slug, branch, path }: { slug: string; branch: string; path: string }) {
  const readme = useLoaded(async () => {
    const at = { project: slug };
    const tree = await call('list_tree', { path: at, query: { ref: branch, path, limit: 200 } });
    const found = tree.items.find((entry) => NAME.test(entry.name) && entry.kind === 'file');
    if (!found || (found.size ?? 0) > SHOWN_BYTES) return undefined;
    const file = path === '' ? found.name : `${path}/${found.name}`;
    const body = await call('get_file', { path: at, query: { ref: branch, path: file } });
    return { name: found.name, file, text: textOf(body as ArrayBuffer) };
  }, `${slug} ${branch} ${path}`);
  const shown = readme.value;
  if (!shown?.text) return null;
  const resolve = (target: string) => {
    const inside = beside(shown.file, target);
    return inside === undefined ? undefined : href(['p', slug, 'file'], { ref: branch, path: inside });
  };
  return (
    <section class="card" aria-label={t('project.readme')}>
      <h2 class="quiet">
        <a href={href(['p', slug, 'file'], { ref: branch, path: shown.file })}>{shown.name}</a>
      </h2>
      {/\.md$/i.test(shown.name) ? (
        <MarkdownText source={shown.text} resolve={resolve} level={3} />
      ) : (
        <pre class="readme">{shown.text}</pre>
      )}
    </section>
  );
}
