import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { handler as feedback } from '../functions/feedback/app.mjs';
import { handler as greet } from '../functions/greet/app.mjs';

const event = async (name) => JSON.parse(await readFile(new URL(`../events/${name}.json`, import.meta.url), 'utf8'));

test('a name is greeted', async () => {
  const answer = await greet(await event('greet'));
  assert.equal(answer.statusCode, 200);
  assert.equal(JSON.parse(answer.body).greeting, 'Hello, Ada!');
});

test('a long name is refused', async () => {
  const answer = await greet({ queryStringParameters: { name: 'x'.repeat(101) } });
  assert.equal(answer.statusCode, 400);
});

test('a message is taken', async () => {
  const answer = await feedback(await event('feedback'));
  assert.equal(answer.statusCode, 201);
  assert.equal(JSON.parse(answer.body).length, 9);
});

test('a body without a message is refused', async () => {
  assert.equal((await feedback({ body: '{}' })).statusCode, 400);
});
