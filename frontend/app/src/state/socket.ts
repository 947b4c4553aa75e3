// One WebSocket for the page: a project's events and followed logs. The event log is the truth, the socket a hint: after a
// reconnect everything is asked for from the last known place, so that nothing is missed and nothing shown twice.

import { signal } from '@preact/signals';

import { call } from '../api/client';
import type { EventView, LineView, PresenceView, RequestView } from '../api/generated';

export type Connection = 'idle' | 'connecting' | 'open' | 'waiting';

/** Shown in the header while a page follows something. */
export const connection = signal<Connection>('idle');

export interface LogTarget {
  project: string;
  job?: string;
  environment?: string;
  function?: string;
}

export interface LogLines {
  lines: LineView[];
  requests: RequestView[];
  /** Some lines were left out by the source because there were too many. */
  sampled: boolean;
}

interface Following {
  project: string;
  after: number | undefined;
  onEvent: (event: EventView) => void;
  onLive: () => void;
}

/** Where this page is in a project, for others to see. */
export interface Whereabouts {
  branch: string | null;
  path: string | null;
}

interface Tail {
  target: LogTarget;
  /** The server's id, once it follows. */
  id: string | undefined;
  cursor: string | undefined;
  onLines: (lines: LogLines) => void;
  onEnd: (reason: string) => void;
}

interface Message {
  type: string;
  project?: string;
  sequence?: number;
  event?: EventView;
  tail?: string;
  lines?: LineView[];
  requests?: RequestView[];
  cursor?: string;
  reason?: string;
  sampled?: boolean;
  /** The event is too large for a message: it is read by its sequence. */
  truncated?: boolean;
  people?: PresenceView[];
}

const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 20_000;
/** Under the gateway's idle limit of 10 minutes. */
const PING_MS = 240_000;

const followed = new Set<Following>();
const tails = new Set<Tail>();
/** Tails that were asked for and not yet answered, in the order of asking: the answers come in that order. */
let asked: Tail[] = [];
/** Who is where, by project id. */
export const people = signal<ReadonlyMap<string, readonly PresenceView[]>>(new Map());
const whereabouts = new Map<string, Whereabouts>();
/** Projects that this connection is subscribed to. */
const subscribed = new Set<string>();
/** Projects in which this connection has said where the page is. */
const presented = new Set<string>();
let socket: WebSocket | undefined;
let backoff = BACKOFF_MIN_MS;
let ping: ReturnType<typeof setInterval> | undefined;

function wanted(): boolean {
  return followed.size > 0 || tails.size > 0;
}

function say(message: Record<string, unknown>): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** Subscribes to a project once a connection, from the oldest place that someone here has seen. */
function subscribe(project: string): void {
  if (subscribed.has(project) || socket?.readyState !== WebSocket.OPEN) return;
  subscribed.add(project);
  const seen = [...followed].flatMap(({ project: of, after }) => (of === project && after !== undefined ? [after] : []));
  say({ action: 'subscribe', project, after: seen.length === 0 ? undefined : Math.min(...seen) });
}

/** Says where this page is in a project; it is said again after every break. */
export function announce(project: string, place: Whereabouts): void {
  whereabouts.set(project, place);
  if (presented.has(project)) present(project);
}

function present(project: string): void {
  const place = whereabouts.get(project);
  if (!place) return;
  presented.add(project);
  say({ action: 'presence', project, ...place });
}

function ask(tail: Tail): void {
  if (socket?.readyState !== WebSocket.OPEN) return;
  asked.push(tail);
  const start = tail.cursor === undefined ? { start: 0 } : { cursor: tail.cursor };
  say({ action: 'tail', ...tail.target, ...start });
}

async function connect(): Promise<void> {
  if (connection.value === 'connecting' || connection.value === 'open' || !wanted()) return;
  connection.value = 'connecting';
  let opened: WebSocket;
  try {
    const ticket = await call('create_socket_ticket');
    opened = new WebSocket(`${ticket.url}?ticket=${encodeURIComponent(ticket.ticket)}`);
  } catch {
    retry();
    return;
  }
  socket = opened;
  opened.onopen = () => {
    backoff = BACKOFF_MIN_MS;
    connection.value = 'open';
    asked = [];
    presented.clear();
    subscribed.clear();
    for (const { project } of followed) subscribe(project);
    for (const tail of tails) {
      tail.id = undefined;
      ask(tail);
    }
    ping = setInterval(() => say({ action: 'ping' }), PING_MS);
  };
  opened.onmessage = (message: MessageEvent<string>) => receive(JSON.parse(message.data) as Message);
  opened.onclose = () => {
    clearInterval(ping);
    socket = undefined;
    retry();
  };
}

function retry(): void {
  if (!wanted()) {
    connection.value = 'idle';
    return;
  }
  connection.value = 'waiting';
  setTimeout(() => void connect(), backoff * (0.5 + Math.random() / 2));
  backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
}

function receive(message: Message): void {
  switch (message.type) {
    case 'event':
      happened(message);
      break;
    case 'presence':
      if (message.project) people.value = new Map(people.value).set(message.project, message.people ?? []);
      break;
    case 'unsubscribed':
      // No member any more, for now: whoever follows next asks again.
      if (message.project) {
        subscribed.delete(message.project);
        presented.delete(message.project);
      }
      break;
    case 'live':
      for (const following of [...followed]) {
        if (following.project !== message.project) continue;
        following.after ??= message.sequence;
        following.onLive();
      }
      // Presence belongs to following, so it is said when following has begun.
      if (message.project && !presented.has(message.project)) present(message.project);
      break;
    case 'tailing': {
      const tail = asked.shift();
      if (tail) tail.id = message.tail;
      if (tail && !tails.has(tail)) say({ action: 'untail', tail: message.tail });
      break;
    }
    case 'log':
      for (const tail of tails) {
        if (tail.id !== message.tail) continue;
        tail.cursor = message.cursor ?? tail.cursor;
        tail.onLines({
          lines: message.lines ?? [],
          requests: message.requests ?? [],
          sampled: message.sampled ?? false,
        });
      }
      break;
    case 'tail_ended':
      for (const tail of [...tails]) {
        if (tail.id !== message.tail) continue;
        tails.delete(tail);
        tail.onEnd(message.reason ?? '');
      }
      break;
  }
}

function happened({ project, sequence = 0, event, truncated }: Message): void {
  const of = project ?? event?.project;
  for (const following of [...followed]) {
    if (following.project !== of || (following.after !== undefined && sequence <= following.after)) continue;
    following.after = sequence;
    if (event) following.onEvent(event);
    else if (truncated) void fetched(following, sequence);
  }
}

/** Reads an event that came as a pointer. When that fails, whoever follows looks for themselves. */
async function fetched(following: Following, sequence: number): Promise<void> {
  try {
    const query = { after: sequence - 1, limit: 1 };
    const { items } = await call('list_events', { path: { project: following.project }, query });
    for (const event of items) if (followed.has(following)) following.onEvent(event);
  } catch {
    following.onLive();
  }
}

function rest(): void {
  if (!wanted()) {
    socket?.close();
    connection.value = 'idle';
  }
}

/**
 * Follows a project's events from now on. `onLive` is called when following has begun, and again after a break: what was
 * read before may be old by then. Answers with the end of following. `project` is the id.
 */
export function follow(
  project: string,
  onEvent: (event: EventView) => void,
  onLive: () => void = () => undefined,
): () => void {
  const following: Following = { project, after: undefined, onEvent, onLive };
  followed.add(following);
  if (connection.value === 'open') subscribe(project);
  else void connect();
  return () => {
    followed.delete(following);
    if (![...followed].some((other) => other.project === project)) {
      subscribed.delete(project);
      presented.delete(project);
      say({ action: 'unsubscribe', project });
    }
    rest();
  };
}

/** Follows a log from its beginning. Answers with the end of following. */
export function followLog(
  target: LogTarget,
  onLines: (lines: LogLines) => void,
  onEnd: (reason: string) => void = () => undefined,
): () => void {
  const tail: Tail = { target, id: undefined, cursor: undefined, onLines, onEnd };
  tails.add(tail);
  if (connection.value === 'open') ask(tail);
  else void connect();
  return () => {
    tails.delete(tail);
    if (tail.id !== undefined) say({ action: 'untail', tail: tail.id });
    rest();
  };
}
