import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Problem } from '../src/api/client';
import { Draft, type DraftStore } from '../src/state/draft';

const place = { project: 'shop', branch: 'main', path: 'a.py' };

/** A store with one draft, as the platform keeps it. */
class Store implements DraftStore {
  text: string | undefined;
  version = 0;
  puts: string[] = [];
  /** What the next put does instead. */
  next: (() => void) | undefined;

  private get etag() {
    return `"${this.version}"`;
  }

  async put(_: typeof place, text: string, etag: string | undefined): Promise<string> {
    this.puts.push(text);
    const fault = this.next;
    this.next = undefined;
    fault?.();
    if (etag === undefined ? this.text !== undefined : etag !== this.etag) throw new Problem(412, {});
    this.text = text;
    this.version += 1;
    return this.etag;
  }

  async get() {
    return this.text === undefined ? undefined : { text: this.text, etag: this.etag };
  }

  async delete() {
    this.text = undefined;
  }

  /** Someone else saves. */
  elsewhere(text: string) {
    this.text = text;
    this.version += 1;
  }
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('typing is stored once it pauses, and only its last state', async () => {
  const store = new Store();
  const draft = new Draft(place, 'old', undefined, store);
  draft.edit('n');
  draft.edit('ne');
  draft.edit('new');
  expect(draft.status.value).toBe('unsaved');
  await vi.runAllTimersAsync();
  expect(store.puts).toEqual(['new']);
  expect(draft.status.value).toBe('saved');
});

test('what is typed while a save runs is stored after it', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  store.next = () => draft.edit('second');
  draft.edit('first');
  await draft.flush();
  expect(draft.status.value).toBe('unsaved');
  await vi.runAllTimersAsync();
  expect(store.text).toBe('second');
  expect(draft.status.value).toBe('saved');
});

test('a change from elsewhere is a conflict, and neither side is lost', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  draft.edit('mine');
  await draft.flush();
  store.elsewhere('theirs');
  draft.edit('mine too');
  await draft.flush();
  expect(draft.status.value).toBe('conflict');
  expect(draft.stored.value?.text).toBe('theirs');
  expect(store.text).toBe('theirs');
  expect(draft.text).toBe('mine too');
  draft.edit('typed during the conflict');
  await vi.runAllTimersAsync();
  expect(store.text).toBe('theirs');
  await draft.keep('merged');
  expect(store.text).toBe('merged');
  expect(draft.status.value).toBe('saved');
});

test('taking the stored text ends a conflict and goes on from it', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  draft.edit('mine');
  store.elsewhere('theirs');
  await draft.flush();
  expect(draft.take()).toBe('theirs');
  draft.edit('theirs and more');
  await draft.flush();
  expect(store.text).toBe('theirs and more');
});

test('a draft that was deleted elsewhere can be kept', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  draft.edit('mine');
  await draft.flush();
  store.text = undefined;
  store.version += 1;
  draft.edit('mine again');
  await draft.flush();
  expect(draft.status.value).toBe('conflict');
  await draft.keep('mine again');
  expect(store.text).toBe('mine again');
});

test('an own write whose answer was lost is no conflict', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  store.next = () => {
    store.elsewhere('mine');
    throw new TypeError('fetch failed');
  };
  draft.edit('mine');
  await draft.flush();
  expect(draft.status.value).toBe('failed');
  await vi.runAllTimersAsync();
  expect(draft.status.value).toBe('saved');
  expect(store.text).toBe('mine');
});

test('without a network what is typed waits and is sent again', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  store.next = () => {
    throw new TypeError('fetch failed');
  };
  draft.edit('kept');
  await draft.flush();
  expect(draft.status.value).toBe('failed');
  expect(draft.pending).toBe(true);
  await vi.runAllTimersAsync();
  expect(store.text).toBe('kept');
});

test('what is refused is said and not repeated', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  store.next = () => {
    throw new Problem(413, { detail: 'a draft has at most 4 MiB' });
  };
  draft.edit('huge');
  await draft.flush();
  await vi.runAllTimersAsync();
  expect(store.puts).toHaveLength(1);
  expect(draft.error.value).toMatchObject({ message: 'a draft has at most 4 MiB' });
});

test('a discarded draft leaves nothing behind', async () => {
  const store = new Store();
  const draft = new Draft(place, '', undefined, store);
  draft.edit('mine');
  await draft.flush();
  await draft.discard();
  expect(store.text).toBeUndefined();
  expect(draft.exists).toBe(false);
});
