import { expect, test } from 'vitest';

import { initials, others } from '../../../ide/src/platform/company/presence';
import { rowText, totalText } from '../../../ide/src/platform/run/figures-view';
import { known, position, positions } from '../../../ide/src/platform/run/problems';
import { globs } from '../../../ide/src/platform/search/globs';
import { resembles } from '../../../ide/src/platform/search/quick-open';
import { byLine } from '../../../ide/src/platform/source-control/blame';
import { isMerged } from '../../../ide/src/platform/source-control/merge-desk';
import { en } from '../../../ide/src/platform/texts/en';
import { ko } from '../../../ide/src/platform/texts/ko';

test.each([
  ['template.yaml:12:3: no such resource', { path: 'template.yaml', line: 12, column: 3, message: 'no such resource' }],
  ['ERROR in functions/greet/app.py:7', { path: 'functions/greet/app.py', line: 7, column: 1 }],
  ['  File "/var/task/app.py", line 12, in handler', { path: '/var/task/app.py', line: 12 }],
  ['src/app.ts(3,14): error TS2322: Type', { path: 'src/app.ts', line: 3, column: 14, message: 'error TS2322: Type' }],
])('the position in %j is read', (line, expected) => {
  expect(position(line)).toMatchObject(expected);
});

test.each(['12:30:45 started', 'https://example.com:8080/x', 'version 1.2:3', ''])('%j names no position', (line) => {
  expect(positions(line)).toEqual([]);
});

test('the length of a position is what is underlined', () => {
  const line = '12:00 at functions/a.py:7:2: boom';
  const found = position(line);
  expect(line.slice(found?.at, (found?.at ?? 0) + (found?.length ?? 0)).trim()).toBe('functions/a.py:7:2:');
});

test('a name in a log is a file of the project when exactly one ends like it', () => {
  const paths = ['functions/greet/app.py', 'functions/feedback/app.py', 'template.yaml', 'functions/greet/words.py'];
  expect(known('template.yaml', paths)).toBe('template.yaml');
  expect(known('/var/task/words.py', paths)).toBe('functions/greet/words.py');
  expect(known('/var/task/app.py', paths)).toBeUndefined();
  expect(known('greet/app.py', paths)).toBe('functions/greet/app.py');
  expect(known('/usr/lib/python3/json.py', paths)).toBeUndefined();
});

test('globs choose files as the workbench writes them', () => {
  const code = globs(['**/*.{py,ts}']);
  expect(code('a/b/c.py')).toBe(true);
  expect(code('d.ts')).toBe(true);
  expect(code('d.tsx')).toBe(false);
  expect(globs(['**/node_modules'])('x/node_modules/y/z.js')).toBe(true);
  expect(globs(['src/*'])('src/a/b.ts')).toBe(true);
  expect(globs(['*.md'])('docs/a.md')).toBe(false);
  expect(globs([])('a')).toBe(false);
});

test('quick open finds letters in their order', () => {
  expect(resembles('functions/greet/app.py', 'fgapp')).toBe(true);
  expect(resembles('functions/greet/app.py', 'GREET app')).toBe(true);
  expect(resembles('functions/greet/app.py', 'appf')).toBe(false);
  expect(resembles('anything', '')).toBe(true);
});

test('a text with a conflict marker is not merged', () => {
  expect(isMerged('a\n<<<<<<< mine\nb\n=======\nc\n>>>>>>> theirs\n')).toBe(false);
  expect(isMerged('a <<<<<<< b\n')).toBe(true);
});

test('of others each person is shown once, at the newest place', () => {
  const here = (account: string, path: string, since: number) => ({ account, name: account, connection: path, branch: 'main', path, since });
  const people = [here('me', 'a', 1), here('kim', 'old', 1), here('kim', 'new', 2), here('ann', 'b', 1)];
  expect(others(people, 'me').map(({ account, path }) => [account, path])).toEqual([
    ['ann', 'b'],
    ['kim', 'new'],
  ]);
  expect(initials('Kim Min Ji')).toBe('KJ');
  expect(initials('ann')).toBe('AN');
});

test('figures say what a request took and cost', () => {
  const request = { request_id: 'r', duration_ms: 12.34, billed_duration_ms: 13, memory_mb: 128, max_memory_used_mb: 40, init_duration_ms: 100, cold_start: true };
  const row = { log: 'f', request };
  expect(rowText(row).label).toBe('12.3 ms');
  expect(rowText(row).description).toContain('13 ms billed');
  expect(rowText(row).description).toContain('40 / 128 MB');
  expect(totalText([row, row]).label).toContain('2');
});

test('both languages fill in the same values', () => {
  const values = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
  for (const key of Object.keys(en) as (keyof typeof en)[]) expect([key, ...values(ko[key])]).toEqual([key, ...values(en[key])]);
});

test('every line has the commit of its range', () => {
  const at = { name: 'A', email: 'a@example.com', at: 0, offset_minutes: 0 };
  const commit = (id: string) => ({ id, tree: '', parents: [], author: at, committer: at, message: id });
  const range = (line: number, count: number, id: string) => ({ line, count, commit: id, source_path: 'a', source_line: 1 });
  const ranges = [range(1, 2, 'x'), range(3, 1, 'y'), range(4, 1, 'x')];
  const lines = byLine({ ranges, commits: [commit('x'), commit('y')] });
  expect(lines.map((line) => line?.id)).toEqual(['x', 'x', 'y', 'x']);
});
