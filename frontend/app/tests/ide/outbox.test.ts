import { beforeEach, expect, test, vi } from 'vitest';

import { Away, type Entry, type Keep, Outbox, type Remote, Superseded } from '../../../ide/src/platform/files/outbox';

const bytes = (text: string) => new TextEncoder().encode(text);
const save = (text: string) => ({ kind: 'save' as const, bytes: bytes(text) });
const FIRST = { etag: undefined, head: 'c0', base: bytes('old') };

/** Keeps entries as a browser's storage does: what comes out is a copy. */
class Memory implements Keep {
  readonly entries = new Map<string, Entry>();
  async put(entry: Readonly<Entry>): Promise<void> {
    this.entries.set(entry.path, structuredClone(entry));
  }
  async remove(path: string): Promise<void> {
    this.entries.delete(path);
  }
  async all(): Promise<Entry[]> {
    return [...this.entries.values()];
  }
}

/** A platform of one draft for each path, which can be away and slow. */
class Platform implements Remote {
  away = false;
  readonly sent: Entry[] = [];
  readonly stored = new Map<string, { etag: string; text: string }>();
  hold: Promise<void> | undefined;

  async send(entry: Readonly<Entry>): Promise<string | undefined> {
    await this.hold;
    if (this.away) throw new Away();
    this.sent.push({ ...entry });
    const now = this.stored.get(entry.path);
    if (now?.etag !== entry.etag) {
      throw new Superseded({ etag: now?.etag, head: 'c1', bytes: now && bytes(now.text) });
    }
    if (entry.wish.kind !== 'save') {
      this.stored.delete(entry.path);
      return undefined;
    }
    const etag = `e${this.sent.length}`;
    this.stored.set(entry.path, { etag, text: new TextDecoder().decode(entry.wish.bytes) });
    return etag;
  }
}

let keep: Memory;
let platform: Platform;
let outbox: Outbox;

beforeEach(() => {
  vi.useFakeTimers();
  keep = new Memory();
  platform = new Platform();
  outbox = new Outbox(platform, keep);
});

test('what is acknowledged is not kept', async () => {
  await outbox.put('a', save('one'), FIRST);
  expect(platform.stored.get('a')?.text).toBe('one');
  expect(outbox.list()).toEqual([]);
  expect(keep.entries.size).toBe(0);
});

test('what is written while the platform is away is kept and sent when it is back', async () => {
  platform.away = true;
  await outbox.put('a', save('one'), FIRST);
  await outbox.put('a', save('two'), { etag: undefined, head: 'c9', base: bytes('one') });
  expect(outbox.get('a')).toMatchObject({ state: 'waiting', head: 'c0', base: bytes('old') });
  expect(keep.entries.get('a')?.wish).toEqual(save('two'));
  platform.away = false;
  await vi.advanceTimersByTimeAsync(20_000);
  expect(platform.stored.get('a')?.text).toBe('two');
  expect(platform.sent).toHaveLength(1);
  expect(keep.entries.size).toBe(0);
});

test('a page that opens later sends what a closed one left', async () => {
  platform.away = true;
  await outbox.put('a', save('left behind'), FIRST);
  platform.away = false;
  const later = new Outbox(platform, keep);
  await later.restore();
  await vi.advanceTimersByTimeAsync(0);
  expect(platform.stored.get('a')?.text).toBe('left behind');
  expect(keep.entries.size).toBe(0);
});

test('what is typed while a version is under way goes on top of it', async () => {
  let go = () => {};
  platform.hold = new Promise((resolve) => {
    go = resolve;
  });
  const first = outbox.put('a', save('one'), FIRST);
  const second = outbox.put('a', save('two'), FIRST);
  go();
  await Promise.all([first, second]);
  expect(platform.sent.map(({ etag }) => etag)).toEqual([undefined, 'e1']);
  expect(platform.stored.get('a')?.text).toBe('two');
  expect(keep.entries.size).toBe(0);
});

test('another version is never overwritten: both are kept until the person chooses', async () => {
  platform.stored.set('a', { etag: 'x', text: 'theirs' });
  await outbox.put('a', save('mine'), FIRST);
  expect(outbox.get('a')?.state).toBe('conflict');
  expect(outbox.other('a')?.bytes).toEqual(bytes('theirs'));
  await outbox.put('a', save('mine, longer'), FIRST);
  await outbox.flush();
  expect(platform.stored.get('a')?.text).toBe('theirs');
  expect(keep.entries.get('a')?.wish).toEqual(save('mine, longer'));
});

test('a settled conflict is stored on top of the other version', async () => {
  platform.stored.set('a', { etag: 'x', text: 'theirs' });
  await outbox.put('a', save('mine'), FIRST);
  await outbox.settle('a', save('both'));
  expect(platform.sent.at(-1)).toMatchObject({ etag: 'x', base: bytes('theirs') });
  expect(platform.stored.get('a')?.text).toBe('both');
  expect(outbox.list()).toEqual([]);
});

test('a conflict that is settled for the other version stores nothing', async () => {
  platform.stored.set('a', { etag: 'x', text: 'theirs' });
  await outbox.put('a', save('mine'), FIRST);
  const sent = platform.sent.length;
  await outbox.settle('a', undefined);
  expect(platform.sent).toHaveLength(sent);
  expect(outbox.list()).toEqual([]);
  expect(keep.entries.size).toBe(0);
});

test('what is refused for good is told to whoever saved it', async () => {
  vi.spyOn(platform, 'send').mockRejectedValue(new Error('the branch is protected'));
  await expect(outbox.put('a', save('one'), FIRST)).rejects.toThrow('protected');
  expect(outbox.list()).toEqual([]);
});

test('each file that waits is sent, even when one of them is refused', async () => {
  platform.away = true;
  await outbox.put('a', save('one'), FIRST);
  await outbox.put('b', save('two'), FIRST);
  platform.away = false;
  platform.stored.set('a', { etag: 'x', text: 'theirs' });
  await outbox.flush();
  expect(outbox.get('a')?.state).toBe('conflict');
  expect(platform.stored.get('b')?.text).toBe('two');
});

test('what is typed and not saved is sent by the next page', async () => {
  await outbox.note('a', save('half a sen'), FIRST);
  expect(platform.sent).toEqual([]);
  const later = new Outbox(platform, keep);
  await later.restore();
  await vi.advanceTimersByTimeAsync(0);
  expect(platform.stored.get('a')?.text).toBe('half a sen');
});

test('a note is gone once it is saved or taken back', async () => {
  await outbox.note('a', save('half'), FIRST);
  await outbox.put('a', save('whole'), FIRST);
  expect(keep.entries.size).toBe(0);
  await outbox.note('a', save('whole and'), FIRST);
  await outbox.forget('a');
  expect(keep.entries.size).toBe(0);
});

test('what is typed while an earlier version is acknowledged stays kept', async () => {
  let go = () => {};
  platform.hold = new Promise((resolve) => {
    go = resolve;
  });
  const saving = outbox.put('a', save('one'), FIRST);
  await outbox.note('a', save('one and'), FIRST);
  go();
  await saving;
  expect(keep.entries.get('a')?.wish).toEqual(save('one and'));
});
