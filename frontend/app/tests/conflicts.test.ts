import { expect, test } from 'vitest';

import { isText, resolutionOf } from '../src/state/merge';
import { chosen, conflictsOf } from '../src/text/conflicts';

const merged = 'a\n<<<<<<< main\nours\n||||||| 1234567\nbase\n=======\ntheirs\n>>>>>>> feature\nz\n';

test('a conflict is found with its sides and its base', () => {
  const [found, ...others] = conflictsOf(merged);
  expect(others).toEqual([]);
  const part = (name: 'ours' | 'base' | 'theirs') => merged.slice(found?.[name]?.from, found?.[name]?.to);
  expect([part('ours'), part('base'), part('theirs')]).toEqual(['ours\n', 'base\n', 'theirs\n']);
  expect(merged.slice(0, found?.from)).toBe('a\n');
  expect(merged.slice(found?.to)).toBe('z\n');
});

test('each choice takes the place of the whole conflict', () => {
  const [found] = conflictsOf(merged);
  if (!found) throw new Error('no conflict');
  expect(chosen(merged, found, 'ours')).toBe('ours\n');
  expect(chosen(merged, found, 'theirs')).toBe('theirs\n');
  expect(chosen(merged, found, 'both')).toBe('ours\ntheirs\n');
});

test('without a base, without a last newline, and several at once', () => {
  const two = '<<<<<<< a\n1\n=======\n2\n>>>>>>> b\n<<<<<<< a\n=======\n3\n>>>>>>> b';
  const found = conflictsOf(two);
  expect(found).toHaveLength(2);
  expect(found[0]?.base).toBeUndefined();
  expect(found[1] && chosen(two, found[1], 'ours')).toBe('');
  expect(found[1]?.to).toBe(two.length);
});

test('marks that do not follow each other are text', () => {
  expect(conflictsOf('=======\n>>>>>>> b\n<<<<<<< a\nopen\n')).toEqual([]);
  expect(conflictsOf('<<<<<<<< eight\n=======\n>>>>>>>> eight\n')).toEqual([]);
  expect(conflictsOf('Heading\n=======\ntext\n')).toEqual([]);
});

test('what was decided is what the API is told', () => {
  const conflict = { path: 'run.sh', reason: 'content', hunks: [], merged, ours: { path: 'run.sh', blob: 'b', mode: '100755' } };
  expect(isText(conflict)).toBe(true);
  expect(resolutionOf(conflict, { kind: 'text', text: 'x' })).toEqual({ path: 'run.sh', content: 'x' });
  expect(resolutionOf(conflict, { kind: 'delete' })).toEqual({ path: 'run.sh', delete: true });
  expect(resolutionOf(conflict, { kind: 'ours' })).toEqual({ path: 'run.sh', side: 'ours' });
  // The side that has no file is a deletion.
  expect(resolutionOf(conflict, { kind: 'theirs' })).toEqual({ path: 'run.sh', delete: true });
});
