import { expect, test } from 'vitest';

import { lastMonths, monthOf } from '../src/state/month';
import { pieces } from '../src/text/highlight';
import { positions } from '../src/text/positions';

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

test('months count backwards over the turn of the year', () => {
  const now = Date.UTC(2027, 1, 28, 23);
  expect(monthOf(now)).toBe('2027-02');
  expect(lastMonths(now, 3)).toEqual(['2027-02', '2027-01', '2026-12']);
});

test('places in files that a build names become links, and nothing else does', () => {
  const links = (text: string) => positions(text).flatMap(({ position }) => (position ? [position] : []));
  expect(links('  template.yaml:12:5: /Resources/A: `B` is missing')).toEqual([{ path: 'template.yaml', line: 12 }]);
  expect(links('functions/greet/app.py:3: SyntaxError')).toEqual([{ path: 'functions/greet/app.py', line: 3 }]);
  expect(links('File "app.py", line 7, in handler')).toEqual([{ path: 'app.py', line: 7 }]);
  expect(links('at 12:30:05 http://host.example:8080/x 10.0.0.1:80 ../up.py:1 a.py:0')).toEqual([]);
  expect(positions('see a.py:1 now').map(({ text }) => text)).toEqual(['see ', 'a.py:1', ' now']);
});
