// The outbox in IndexedDB. Each open page has its own part; what a page left that is closed is taken up by the next one.

import type { Entry, Keep } from './outbox';

const DATABASE = 'workroom-outbox';
const STORE = 'entries';

interface Stored {
  key: string;
  scope: string;
  page: string;
  entry: Entry;
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser’s storage failed'));
  });
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(DATABASE, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' });
  return done(request);
}

const lockName = (page: string) => `workroom-page-${page}`;

/** Says to other pages of this browser that this one lives, for as long as it does. */
function hold(page: string): void {
  void navigator.locks?.request(lockName(page), () => new Promise(() => undefined));
}

async function livingPages(): Promise<Set<string>> {
  const state = await navigator.locks?.query();
  return new Set((state?.held ?? []).map((lock) => lock.name ?? ''));
}

export class IndexedKeep implements Keep {
  private readonly page = crypto.randomUUID();
  private database: Promise<IDBDatabase> | undefined;

  /** `scope` tells apart people, projects and branches. */
  constructor(private readonly scope: string) {
    hold(this.page);
  }

  private async store(mode: IDBTransactionMode): Promise<IDBObjectStore> {
    this.database ??= openDatabase();
    return (await this.database).transaction(STORE, mode).objectStore(STORE);
  }

  private key(path: string): string {
    return `${this.scope}\n${this.page}\n${path}`;
  }

  async put(entry: Readonly<Entry>): Promise<void> {
    const stored: Stored = { key: this.key(entry.path), scope: this.scope, page: this.page, entry };
    await done((await this.store('readwrite')).put(stored));
  }

  async remove(path: string): Promise<void> {
    await done((await this.store('readwrite')).delete(this.key(path)));
  }

  /** What closed pages left, which is this page's from now on. Two versions of one file come one after the other. */
  async all(): Promise<Entry[]> {
    const living = await livingPages();
    const store = await this.store('readwrite');
    const found = (await done(store.getAll())) as Stored[];
    const taken = new Map<string, Entry>();
    for (const { key, scope, page, entry } of found) {
      if (scope !== this.scope || (page !== this.page && living.has(lockName(page)))) continue;
      if (taken.has(entry.path)) continue;
      taken.set(entry.path, entry);
      if (page === this.page) continue;
      store.put({ key: this.key(entry.path), scope, page: this.page, entry } satisfies Stored);
      store.delete(key);
    }
    return [...taken.values()];
  }
}
