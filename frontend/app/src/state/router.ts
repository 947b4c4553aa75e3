// Which page is shown: the part of the address after `#`, because static files know no other path.

import { signal } from '@preact/signals';

import { arrive } from './arrival';

/** A place in the app: path segments and query. */
export interface Location {
  segments: readonly string[];
  query: URLSearchParams;
}

/** Reads `#/p/shop/files?path=a%2Fb`. */
export function parse(hash: string): Location {
  const text = hash.replace(/^#?\/?/, '');
  const at = text.indexOf('?');
  const path = at < 0 ? text : text.slice(0, at);
  const segments = path.split('/').filter((segment) => segment !== '');
  return { segments: segments.map(decoded), query: new URLSearchParams(at < 0 ? '' : text.slice(at + 1)) };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The address of a place: `href(['p', 'shop', 'files'], { path: 'a/b' })`. */
export function href(segments: readonly string[], query: Record<string, string | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
  const text = search.toString();
  return `#/${segments.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}

// A secret in the address is taken out of it before any page sees it.
arrive();
export const here = signal<Location>(parse(globalThis.location?.hash ?? ''));

globalThis.addEventListener?.('hashchange', () => {
  arrive();
  here.value = parse(globalThis.location.hash);
});

/** Goes to a place; the back button returns. */
export function go(to: string): void {
  globalThis.location.hash = to;
}

/** Goes to a place that takes this one's entry in the history. */
export function replace(to: string): void {
  globalThis.history.replaceState(null, '', to);
  here.value = parse(to);
}

/** The workbench over a branch of the project: a page of its own. */
export function ide(project: string, ref?: string): string {
  return `ide/index.html?${new URLSearchParams(ref === undefined ? { project } : { project, ref })}`;
}
