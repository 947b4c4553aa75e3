import { afterEach, expect, test, vi } from 'vitest';

import text from '../../../docs/openapi.json?raw';
import { generate, typeOf } from '../build/client.js';
import { base, call, callVersioned, Problem, target } from '../src/api/client';
import { routes } from '../src/api/generated';

afterEach(() => vi.unstubAllGlobals());

function answering(...answers: Response[]) {
  const asked: { url: string; init: RequestInit & { headers: Headers } }[] = [];
  vi.stubGlobal('fetch', async (url: string, init: RequestInit & { headers: Headers }) => {
    asked.push({ url, init });
    const answer = answers.shift();
    if (!answer) throw new TypeError('fetch failed');
    return answer;
  });
  return asked;
}

test('every operation of the API document has its route in the client', () => {
  const { paths } = JSON.parse(text) as { paths: Record<string, Record<string, { operationId?: string }>> };
  const documented = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).flatMap(([method, { operationId }]) =>
      operationId ? [[operationId, [method.toUpperCase(), path]]] : [],
    ),
  );
  expect(Object.entries(routes).sort()).toEqual(documented.sort());
});

test('a schema becomes its type', () => {
  expect(typeOf({ type: ['string', 'null'] })).toBe('string | null');
  expect(typeOf({ type: 'array', items: { oneOf: [{ $ref: '#/a/PageView_Job' }, { type: 'null' }] } })).toBe(
    '(PageViewJob | null)[]',
  );
  expect(typeOf({ type: 'object', additionalProperties: { type: 'integer' } })).toBe('Record<string, number>');
  const object = { type: 'object', required: ['a'], properties: { a: { type: 'boolean' }, 'b-c': { enum: ['x'] } } };
  expect(typeOf(object)).toBe('{\n  a: boolean;\n  "b-c"?: "x";\n}');
});

test('an operation has exactly the parts that it takes', () => {
  const body = { content: { 'application/json': { schema: { type: 'string' } } } };
  const get = {
    operationId: 'get_one',
    parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
    responses: { 200: body, 404: {} },
  };
  const made = generate({ components: { schemas: {} }, paths: { '/one/{id}': { get } } });
  expect(made).toContain('path: { id: string };');
  expect(made).toContain('query: Record<never, never>;');
  expect(made).toContain('body: undefined;');
  expect(made).toContain('result: string;');
  expect(made).toContain("get_one: ['GET', '/one/{id}'],");
});

test('path parameters are encoded and empty query members left out', () => {
  const path = target('/projects/{project}/branches/{branch}', { project: 'shop', branch: 'fix/a b' }, {});
  expect(path).toBe('/projects/shop/branches/fix%2Fa%20b');
  expect(target('/projects', {}, { cursor: undefined, limit: 5, path: 'a/b&c' })).toBe('/projects?limit=5&path=a%2Fb%26c');
});

test('a stage before the static files is part of every address', () => {
  expect(base('/dev/static/index.html')).toBe('/dev');
  expect(base('/static/index.html')).toBe('');
  expect(base('/')).toBe('');
});

test('a POST carries a new Idempotency-Key each time, signing in none', async () => {
  const json = () => new Response('{}', { headers: { 'Content-Type': 'application/json' } });
  const asked = answering(json(), json(), json());
  await call('create_build', { path: { project: 'shop' }, body: {} });
  await call('create_build', { path: { project: 'shop' }, body: {} });
  await call('create_session', { body: { email: 'a@b.c', password: 'x' } });
  const keys = asked.map(({ init }) => init.headers.get('Idempotency-Key'));
  expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(keys[1]).not.toBe(keys[0]);
  expect(keys[2]).toBeNull();
});

test('a refusal keeps its code, field and request id', async () => {
  const body = { detail: 'too short', code: 'validation', field: 'password', request_id: 'r1' };
  answering(new Response(JSON.stringify(body), { status: 422, headers: { 'Content-Type': 'application/problem+json' } }));
  const error = await call('get_health').catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(Problem);
  expect(error).toMatchObject({ status: 422, code: 'validation', field: 'password', requestId: 'r1', message: 'too short' });
});

test('an answer that is no problem document is still said', async () => {
  answering(new Response('<html>', { status: 502, statusText: 'Bad Gateway' }));
  await expect(call('get_health')).rejects.toMatchObject({ status: 502, message: 'Bad Gateway' });
});

test('a version comes with its value and goes back as If-Match', async () => {
  const etag = { 'Content-Type': 'application/json', ETag: '"7"' };
  const asked = answering(new Response('{"slug":"shop"}', { headers: etag }), new Response('{}', { headers: etag }));
  const found = await callVersioned('get_project', { path: { project: 'shop' } });
  expect(found).toEqual({ value: { slug: 'shop' }, etag: '"7"' });
  await call('update_project', { path: { project: 'shop' }, body: { name: 'S' } }, { ifMatch: found.etag });
  expect(asked[1]?.init.headers.get('If-Match')).toBe('"7"');
});
