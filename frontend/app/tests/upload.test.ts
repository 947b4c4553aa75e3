import { beforeEach, expect, test, vi } from 'vitest';

import { Problem } from '../src/api/client';
import { interrupted, isSame } from '../src/state/interrupted';
import { Refused } from '../src/state/transfer';
import { forget, Queue, Upload } from '../src/state/upload';

const PART = 4;

/** The platform and the storage, as far as an upload knows them. */
const seen = { calls: [] as string[], received: new Set<number>(), failures: [] as unknown[], gone: false, completed: false, multipart: true };

vi.mock('../src/state/digest', () => ({
  Digester: class {
    async sha256(data: Blob) {
      return `sha of ${await data.text()}`;
    }
    close() {}
  },
}));

vi.mock('../src/state/transfer', async (original) => ({
  ...(await original<object>()),
  transfer: async (to: { url: string }, body: Blob, onSent: (bytes: number) => void, signal: AbortSignal) => {
    const failure = seen.failures.shift();
    if (failure) throw failure;
    if (signal.aborted) throw new DOMException('aborted', 'AbortError');
    onSent(body.size);
    seen.calls.push(`PUT ${to.url} ${await body.text()}`);
    seen.received.add(Number(to.url));
  },
}));

vi.mock('../src/api/client', async (original) => ({
  ...(await original<object>()),
  call: async (name: string, { body }: { body?: { length?: number; numbers?: { number: number; sha256: string }[] } } = {}) => {
    seen.calls.push(name);
    const length = body?.length ?? 0;
    const parts = Array.from({ length: Math.ceil(length / PART) }, (_, index) => ({
      number: index + 1,
      offset: index * PART,
      size: Math.min(PART, length - index * PART),
    }));
    switch (name) {
      case 'create_upload':
        return { id: 'u1', ...(seen.multipart ? { parts } : { put: { method: 'PUT', url: '0', headers: {} } }) };
      case 'get_upload':
        if (seen.gone) throw new Problem(404, {});
        if (seen.completed) return { state: 'completed', parts: [] };
        return { state: 'waiting', parts: [1, 2, 3].map((number) => ({ number, size: PART, received: seen.received.has(number) })) };
      case 'create_upload_parts':
        return { parts: body?.numbers?.map(({ number }) => ({ number, put: { method: 'PUT', url: String(number), headers: {} } })) };
      default:
        return undefined;
    }
  },
}));

const file = (text: string) => new File([text], 'a.bin', { lastModified: 7 });

async function run(upload: Upload): Promise<void> {
  upload.enqueue();
  await upload.run();
}

beforeEach(() => {
  Object.assign(seen, { calls: [], received: new Set(), failures: [], gone: false, completed: false, multipart: true });
  localStorage.clear();
});

test('a large file goes in parts and is forgotten when it is done', async () => {
  const upload = new Upload('shop', 'a.bin', file('aaaabbbbcc'));
  await run(upload);
  expect(upload.phase.value).toBe('done');
  expect(seen.calls.filter((call) => call.startsWith('PUT')).sort()).toEqual(['PUT 1 aaaa', 'PUT 2 bbbb', 'PUT 3 cc']);
  expect(seen.calls.at(-1)).toBe('complete_upload');
  expect(interrupted('shop')).toEqual([]);
});

test('a small file goes at once', async () => {
  seen.multipart = false;
  const upload = new Upload('shop', 'a.bin', file('aa'));
  await run(upload);
  expect(seen.calls).toEqual(['create_upload', 'PUT 0 aa', 'complete_upload']);
});

test('after a reload only what is missing is sent', async () => {
  const first = new Upload('shop', 'a.bin', file('aaaabbbbcc'));
  seen.failures = [new Refused(400), new Refused(400), new Refused(400)];
  await run(first);
  expect(first.phase.value).toBe('failed');
  const [known] = interrupted('shop');
  expect(known && isSame(known, 'a.bin', file('aaaabbbbcc'))).toBe(true);
  seen.calls = [];
  seen.received = new Set([1, 3]);
  const second = new Upload('shop', 'a.bin', file('aaaabbbbcc'), known);
  await run(second);
  expect(second.phase.value).toBe('done');
  expect(seen.calls).toEqual(['get_upload', 'create_upload_parts', 'PUT 2 bbbb', 'complete_upload']);
});

test('a part that the storage refused for a moment is signed and sent again', async () => {
  vi.useFakeTimers();
  seen.failures = [new Refused(503)];
  const upload = new Upload('shop', 'a.bin', file('aaaa'));
  const running = run(upload);
  await vi.runAllTimersAsync();
  await running;
  vi.useRealTimers();
  expect(upload.phase.value).toBe('done');
  expect(seen.calls.filter((call) => call === 'create_upload_parts')).toHaveLength(2);
});

test('another file of the same name begins anew', async () => {
  const first = new Upload('shop', 'a.bin', file('aaaabbbbcc'));
  seen.failures = [new Refused(400), new Refused(400), new Refused(400)];
  await run(first);
  seen.calls = [];
  const [known] = interrupted('shop');
  await run(new Upload('shop', 'a.bin', file('ddddeeeeff'), known));
  expect(seen.calls.slice(0, 2)).toEqual(['delete_upload', 'create_upload']);
});

test('an upload that expired meanwhile begins anew', async () => {
  const known = { project: 'shop', id: 'old', path: 'a.bin', size: 4, modified: 7, sha256: 'sha of aaaa', parts: [], sent: 0 };
  seen.gone = true;
  const upload = new Upload('shop', 'a.bin', file('aaaa'), known);
  await run(upload);
  expect(upload.phase.value).toBe('done');
  expect(seen.calls).toContain('create_upload');
});

test('an upload whose completion was not heard of is not sent again', async () => {
  const known = { project: 'shop', id: 'u1', path: 'a.bin', size: 4, modified: 7, sha256: 'sha of aaaa', parts: [{ number: 1, offset: 0, size: 4 }], sent: 4 };
  seen.completed = true;
  const upload = new Upload('shop', 'a.bin', file('aaaa'), known);
  await run(upload);
  expect(upload.phase.value).toBe('done');
  expect(seen.calls).toEqual(['get_upload', 'complete_upload']);
});

test('what is cancelled while it waits is not sent, and nothing stays of it', async () => {
  const upload = new Upload('shop', 'a.bin', file('aaaa'));
  upload.enqueue();
  await upload.cancel();
  await upload.run();
  expect(upload.phase.value).toBe('cancelled');
  expect(seen.calls).toEqual([]);
});

test('forgetting what the platform does not know any more is no failure', async () => {
  const known = { project: 'shop', id: 'old', path: 'a.bin', size: 4, modified: 7, sha256: '', parts: [], sent: 0 };
  await forget(known);
  expect(interrupted('shop')).toEqual([]);
});

test('a queue runs a few at once, in order', async () => {
  const queue = new Queue(2);
  const log: string[] = [];
  const ends: (() => void)[] = [];
  for (const name of ['a', 'b', 'c']) {
    queue.add(() => {
      log.push(name);
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  }
  expect(log).toEqual(['a', 'b']);
  ends[0]?.();
  await vi.waitFor(() => expect(log).toEqual(['a', 'b', 'c']));
});
