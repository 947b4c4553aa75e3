import { afterEach, expect, test, vi } from 'vitest';

import document from '../../../docs/openapi.json?raw';
import { generate } from '../build/client.js';
import { base, call, callVersioned, Problem, target } from '../src/api/client';
import generated from '../src/api/generated.ts?raw';

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

test('the client is what the API document says', () => {
  expect(generated).toBe(generate(JSON.parse(document)));
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
