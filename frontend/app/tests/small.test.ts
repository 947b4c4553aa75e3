import { expect, test } from 'vitest';

import { pieces } from '../src/text/highlight';

test('a line is cut where it matched', () => {
  expect(pieces('a key, a key', [{ start: 9, end: 12 }, { start: 2, end: 5 }])).toEqual([
    { text: 'a ', found: false },
    { text: 'key', found: true },
    { text: ', a ', found: false },
    { text: 'key', found: true },
  ]);
});

test('ranges outside of a cut line do no harm', () => {
  expect(pieces('short', [{ start: 3, end: 900 }, { start: 901, end: 905 }])).toEqual([
    { text: 'sho', found: false },
    { text: 'rt', found: true },
  ]);
  expect(pieces('', [{ start: 0, end: 0 }])).toEqual([]);
});
