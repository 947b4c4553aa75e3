import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import type { EventView, LineView } from '../src/api/generated';

/** A socket whose other end is the test. */
class Peer {
  static opened: Peer[] = [];
  static readonly OPEN = 1;
  readyState = 0;
  said: Record<string, unknown>[] = [];
  onopen: (() => void) | undefined;
  onmessage: ((message: { data: string }) => void) | undefined;
  onclose: (() => void) | undefined;

  constructor(readonly url: string) {
    Peer.opened.push(this);
  }

  send(text: string) {
    this.said.push(JSON.parse(text) as Record<string, unknown>);
  }

  close() {
    this.readyState = 3;
    this.onclose?.();
  }

  open() {
    this.readyState = 1;
    this.onopen?.();
  }

  tell(message: unknown) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const event = (sequence: number) => ({ project: 'P', sequence, type: 'job.updated' }) as EventView;
const line = (id: string) => ({ id, message: id }) as LineView;

beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  Peer.opened = [];
  vi.stubGlobal('WebSocket', Peer);
  vi.stubGlobal('fetch', async () => {
    return new Response('{"ticket":"once","url":"ws://here/ws","expires":0}', {
      headers: { 'Content-Type': 'application/json' },
    });
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function connected(nth: number): Promise<Peer> {
  await vi.waitFor(() => {
    if (Peer.opened.length <= nth) throw new Error('not yet');
  });
  const peer = Peer.opened[nth];
  if (!peer) throw new Error('no peer');
  peer.open();
  return peer;
}

test('after a break events go on from the last that was seen, each once', async () => {
  const { follow } = await import('../src/state/socket');
  const seen: number[] = [];
  follow('P', (found) => seen.push(found.sequence));
  const first = await connected(0);
  expect(first.url).toBe('ws://here/ws?ticket=once');
  first.tell({ type: 'event', sequence: 4, event: event(4) });
  first.tell({ type: 'event', sequence: 4, event: event(4) });
  first.close();
  await vi.advanceTimersByTimeAsync(1000);
  const second = await connected(1);
  expect(second.said[0]).toEqual({ action: 'subscribe', project: 'P', after: 4 });
  second.tell({ type: 'event', sequence: 4, event: event(4) });
  second.tell({ type: 'event', sequence: 5, event: event(5) });
  expect(seen).toEqual([4, 5]);
});

test('an event that came as a pointer is read, and what began is looked at again', async () => {
  const { follow } = await import('../src/state/socket');
  const seen: number[] = [];
  let looks = 0;
  follow(
    'P',
    (found) => seen.push(found.sequence),
    () => (looks += 1),
  );
  const peer = await connected(0);
  peer.tell({ type: 'live', project: 'P', sequence: 7 });
  expect(looks).toBe(1);
  vi.stubGlobal('fetch', async (url: string) => {
    expect(url).toBe('/projects/P/events?after=7&limit=1');
    return new Response(JSON.stringify({ items: [event(8)], next: 8 }), {
      headers: { 'Content-Type': 'application/json' },
    });
  });
  peer.tell({ type: 'event', truncated: true, project: 'P', sequence: 8, href: '' });
  await vi.waitFor(() => expect(seen).toEqual([8]));
});

test('a log is followed from its beginning, and after a break from its cursor', async () => {
  const { followLog } = await import('../src/state/socket');
  const lines: string[] = [];
  followLog({ project: 'P', job: 'J' }, (more) => lines.push(...more.lines.map((found) => found.id)));
  const first = await connected(0);
  expect(first.said[0]).toEqual({ action: 'tail', project: 'P', job: 'J', start: 0 });
  first.tell({ type: 'tailing', tail: 'T1' });
  first.tell({ type: 'log', tail: 'T1', lines: [line('a')], requests: [], cursor: 'C1' });
  first.tell({ type: 'log', tail: 'other', lines: [line('x')], requests: [], cursor: 'C9' });
  first.close();
  await vi.advanceTimersByTimeAsync(1000);
  const second = await connected(1);
  expect(second.said[0]).toEqual({ action: 'tail', project: 'P', job: 'J', cursor: 'C1' });
  expect(lines).toEqual(['a']);
});

test('the socket is closed when nobody follows anything', async () => {
  const { follow, connection } = await import('../src/state/socket');
  const end = follow('P', () => undefined);
  const peer = await connected(0);
  end();
  expect(peer.readyState).toBe(3);
  expect(connection.value).toBe('idle');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(Peer.opened).toHaveLength(1);
});

test('where the page is is said once following has begun, when it changes, and again after a break', async () => {
  const { announce, follow, people } = await import('../src/state/socket');
  const said = (peer: Peer) => peer.said.filter((message) => message.action === 'presence').map((message) => message.path);
  announce('P', { branch: 'main', path: null });
  follow('P', () => undefined);
  follow('P', () => undefined);
  const first = await connected(0);
  expect(said(first)).toEqual([]);
  first.tell({ type: 'live', project: 'P', sequence: 1 });
  first.tell({ type: 'live', project: 'P', sequence: 1 });
  announce('P', { branch: 'main', path: 'a.py' });
  expect(said(first)).toEqual([null, 'a.py']);
  first.tell({ type: 'presence', project: 'P', people: [{ account: 'A', name: 'Mina', connection: 'c', since: 1 }] });
  expect(people.value.get('P')?.map((person) => person.name)).toEqual(['Mina']);
  first.close();
  await vi.runOnlyPendingTimersAsync();
  const second = await connected(1);
  second.tell({ type: 'live', project: 'P', sequence: 1 });
  expect(said(second)).toEqual(['a.py']);
});

test('several parts of a page share one subscription, and a later one does not make the others look again', async () => {
  const { follow } = await import('../src/state/socket');
  let looked = 0;
  follow('P', () => undefined, () => (looked += 1));
  const peer = await connected(0);
  peer.tell({ type: 'live', project: 'P', sequence: 3 });
  expect(looked).toBe(1);
  const seen: number[] = [];
  const end = follow('P', (found) => seen.push(found.sequence));
  expect(peer.said.filter((message) => message.action === 'subscribe')).toHaveLength(1);
  peer.tell({ type: 'event', sequence: 4, event: event(4) });
  end();
  peer.tell({ type: 'event', sequence: 5, event: event(5) });
  expect([looked, seen]).toEqual([1, [4]]);
  expect(peer.said.filter((message) => message.action === 'unsubscribe')).toEqual([]);
});

test('who was no member for a while follows again', async () => {
  const { follow } = await import('../src/state/socket');
  follow('P', () => undefined);
  const peer = await connected(0);
  peer.tell({ type: 'live', project: 'P', sequence: 1 });
  peer.tell({ type: 'unsubscribed', project: 'P', reason: 'not a member' });
  follow('P', () => undefined);
  expect(peer.said.filter((message) => message.action === 'subscribe')).toHaveLength(2);
});
