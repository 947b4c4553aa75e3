// Calls the platform's API. The session is an HttpOnly cookie: no token passes through here.

import { type Operations, type Problem as ProblemView, routes } from './generated';

type Name = keyof Operations;
type Empty = Record<never, never>;
type PathOf<N extends Name> = Operations[N]['path'];
type QueryOf<N extends Name> = Operations[N]['query'];
type BodyOf<N extends Name> = Operations[N]['body'];

/** What a call needs: exactly the parts that its operation has. */
export type Arguments<N extends Name> = (keyof PathOf<N> extends never ? Empty : { path: PathOf<N> }) &
  (keyof QueryOf<N> extends never ? Empty : Empty extends QueryOf<N> ? { query?: QueryOf<N> } : { query: QueryOf<N> }) &
  (BodyOf<N> extends undefined ? Empty : { body: BodyOf<N> });

/** Conditions and control that any call may carry. */
export interface Control {
  /** The version that is changed: `If-Match`. */
  ifMatch?: string;
  /** Only when there is none yet: `If-None-Match: *`. */
  ifAbsent?: boolean;
  signal?: AbortSignal;
  /** A 401 is an answer, not the end of the session. */
  expectSignedOut?: boolean;
}

/** A result with its version. */
export interface Versioned<T> {
  value: T;
  etag: string;
}

/** Anything but success, as RFC 9457 describes it. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly field: string | undefined;
  readonly requestId: string | undefined;
  /** Everything that the answer said, also what only some problems have: a merge's `conflicts`. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(status: number, view: Partial<ProblemView>) {
    super(view.detail ?? view.title ?? `HTTP ${status}`);
    this.name = 'Problem';
    this.status = status;
    this.code = view.code ?? 'unknown';
    this.field = view.field ?? undefined;
    this.requestId = view.request_id ?? undefined;
    this.members = { ...view };
  }
}

/** Called when the platform no longer knows the caller. */
let signedOut: () => void = () => undefined;
export function onSignedOut(handler: () => void): void {
  signedOut = handler;
}

/** The platform's own address: everything before `/static/`, so that a stage in the path is kept. */
export function base(pathname: string = location.pathname): string {
  const at = pathname.indexOf('/static/');
  return at < 0 ? '' : pathname.slice(0, at);
}

/** The target of an operation, with its parameters in place. */
export function target(template: string, path: Record<string, unknown>, query: Record<string, unknown>): string {
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(path[name] ?? '')));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? filled : `${filled}?${text}`;
}

/** Where a browser finds the result of an operation by itself: a link to a download. */
export function address<N extends Name>(name: N, parts: Arguments<N>): string {
  const { path = {}, query = {} } = parts as Parts;
  return base() + target(routes[name][1], path, query);
}

async function problemOf(answer: Response): Promise<Problem> {
  const text = await answer.text();
  try {
    return new Problem(answer.status, JSON.parse(text) as Partial<ProblemView>);
  } catch {
    return new Problem(answer.status, { title: answer.statusText || `HTTP ${answer.status}` });
  }
}

interface Parts {
  path?: Record<string, unknown>;
  query?: Record<string, unknown>;
  body?: unknown;
}

async function send(name: Name, parts: Parts, control: Control): Promise<Response> {
  const [method, template] = routes[name];
  const headers = new Headers();
  let body: BodyInit | undefined;
  if (parts.body !== undefined) {
    const raw = typeof parts.body === 'string' || parts.body instanceof Blob || ArrayBuffer.isView(parts.body);
    headers.set('Content-Type', raw ? 'application/octet-stream' : 'application/json');
    body = raw ? (parts.body as BodyInit) : JSON.stringify(parts.body);
  }
  // A repeated POST is done once.
  if (method === 'POST' && name !== 'create_session') headers.set('Idempotency-Key', crypto.randomUUID());
  if (control.ifMatch !== undefined) headers.set('If-Match', control.ifMatch);
  if (control.ifAbsent) headers.set('If-None-Match', '*');
  const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store' };
  if (body !== undefined) init.body = body;
  if (control.signal) init.signal = control.signal;
  const answer = await fetch(base() + target(template, parts.path ?? {}, parts.query ?? {}), init);
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.status === 401 && !control.expectSignedOut) signedOut();
  throw problem;
}

async function read(answer: Response): Promise<unknown> {
  if (answer.status === 204) return undefined;
  const kind = answer.headers.get('Content-Type') ?? '';
  return kind.includes('json') ? answer.json() : answer.arrayBuffer();
}

/** Calls an operation; the result is its body. */
export async function call<N extends Name>(
  name: N,
  ...[parts, control]: Empty extends Arguments<N>
    ? [parts?: Arguments<N>, control?: Control]
    : [parts: Arguments<N>, control?: Control]
): Promise<Operations[N]['result']> {
  const answer = await send(name, (parts ?? {}) as Parts, control ?? {});
  return (await read(answer)) as Operations[N]['result'];
}

/** Calls an operation whose result has a version. */
export async function callVersioned<N extends Name>(
  name: N,
  parts: Arguments<N>,
  control: Control = {},
): Promise<Versioned<Operations[N]['result']>> {
  const answer = await send(name, parts as Parts, control);
  return { value: (await read(answer)) as Operations[N]['result'], etag: answer.headers.get('ETag') ?? '' };
}

/** Changes what is there now: reads its version, and changes exactly that one. */
export async function atVersion<N extends Name, T>(
  name: N,
  parts: Arguments<N>,
  change: (control: Control) => Promise<T>,
): Promise<T> {
  const { etag } = await callVersioned(name, parts);
  return change({ ifMatch: etag });
}
