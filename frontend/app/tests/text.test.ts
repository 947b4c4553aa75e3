import { expect, test } from 'vitest';

import { ago, bytes, duration, language, LANGUAGES, t } from '../src/i18n';
import { en, type TextKey } from '../src/i18n/en';
import { ko } from '../src/i18n/ko';
import { href, parse } from '../src/state/router';
import { plain, spans } from '../src/text/ansi';
import { textOf } from '../src/text/content';
import { invocationCost } from '../src/text/cost';
import { parsePatch } from '../src/text/patch';
import { readResult } from '../src/text/result';
import { slugOf } from '../src/text/slug';

test('a place survives the address bar', () => {
  const address = href(['p', 'shop', 'file'], { ref: 'fix/ä', path: 'a b/c&d#e?.py', empty: undefined });
  const place = parse(address);
  expect(place.segments).toEqual(['p', 'shop', 'file']);
  expect(place.query.get('ref')).toBe('fix/ä');
  expect(place.query.get('path')).toBe('a b/c&d#e?.py');
  expect(place.query.has('empty')).toBe(false);
});

test('an address that cannot be decoded is shown as it is', () => {
  expect(parse('#/p/%E0%A4%A').segments).toEqual(['p', '%E0%A4%A']);
  expect(parse('').segments).toEqual([]);
});

test('every text exists in every language with the same places to fill', () => {
  const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
  for (const key of Object.keys(en) as TextKey[]) {
    expect(places(ko[key]), key).toEqual(places(en[key]));
    expect(ko[key].trim(), key).not.toBe('');
  }
  expect(Object.keys(LANGUAGES)).toEqual(['en', 'ko']);
});

test('texts follow the language', () => {
  language.value = 'ko';
  expect(t('jobs.attempt', { number: 2 })).toBe('시도 2');
  language.value = 'en';
  expect(t('jobs.attempt', { number: 2 })).toBe('Attempt 2');
});

test('sizes and times read as people say them', () => {
  expect([bytes(0), bytes(1023), bytes(1536), bytes(200 * 1024 * 1024)]).toEqual(['0 B', '1,023 B', '1.5 KB', '200 MB']);
  expect([duration(0.4321), duration(12_340), duration(125_000)]).toEqual(['0.43 ms', '12.3 s', '2 min 5 s']);
  expect(ago(1_000, 61_000)).toBe('1 minute ago');
});

test('a patch has its lines numbered on both sides', () => {
  const patch = 'diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -2,3 +2,3 @@ fn\n one\n-two\n+TWO\n three\n\\ No newline at end of file\n';
  expect(parsePatch(patch)).toEqual([
    { kind: 'hunk', text: '@@ -2,3 +2,3 @@ fn', before: undefined, after: undefined },
    { kind: 'context', text: 'one', before: 2, after: 2 },
    { kind: 'deleted', text: 'two', before: 3, after: undefined },
    { kind: 'added', text: 'TWO', before: undefined, after: 3 },
    { kind: 'context', text: 'three', before: 4, after: 4 },
  ]);
  expect(parsePatch('')).toEqual([]);
});

test('a deleted line that looks like a header is a line', () => {
  expect(parsePatch('@@ -1 +0,0 @@\n--- a title\n').at(1)).toMatchObject({ kind: 'deleted', text: '-- a title' });
});

test('terminal colours become styles and nothing else gets through', () => {
  expect(spans('\u001b[1;31merror\u001b[0m: x\u001b[2K')).toEqual([
    { text: 'error', style: 'bold red' },
    { text: ': x', style: '' },
  ]);
  expect(plain('\u001b]0;title\u0007a\u001b[32mb')).toBe('ab');
  expect(spans('<b>no markup</b>')).toEqual([{ text: '<b>no markup</b>', style: '' }]);
});

test('bytes that are no text are told from text', () => {
  const of = (...values: number[]) => textOf(new Uint8Array(values).buffer);
  expect(of(0x68, 0xc3, 0xa9)).toBe('hé');
  expect(of(0x68, 0x00)).toBeUndefined();
  expect(of(0xff, 0xfe)).toBeUndefined();
});

test('a name gives an address that the platform takes', () => {
  expect(slugOf('Order Shop 2!')).toBe('order-shop-2');
  expect(slugOf('  9 Écoles  ')).toBe('ecoles');
  expect(slugOf('가게')).toBe('');
});

test('the cost of a call is its duration, its memory and the request', () => {
  expect(invocationCost(1000, 1024)).toBeCloseTo(0.0000135334, 10);
});

test('a result is read whatever it holds', () => {
  for (const odd of [null, 'text', [], { artifacts: 'no', notes: [1, 'yes'], outputs: null }]) {
    expect(readResult(odd).artifacts).toEqual([]);
  }
  expect(readResult({ notes: [1, 'yes'] }).notes).toEqual(['yes']);
  expect(readResult({ url: 'http://x/', outputs: { A: 1 } })).toMatchObject({ url: 'http://x/', outputs: [['A', '1']] });
});
