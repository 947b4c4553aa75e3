import { beforeEach, expect, test } from 'vitest';

import { arrival, arrive } from '../src/state/arrival';
import { here } from '../src/state/router';

beforeEach(() => {
  arrival.value = undefined;
  location.hash = '';
});

test('the secret of a link leaves the address at once', () => {
  history.replaceState(null, '', '#/invitation/wri_s%2Fecret');
  expect(arrive()).toBe(true);
  expect(arrival.value).toEqual({ kind: 'invitation', token: 'wri_s/ecret' });
  expect(location.href).not.toContain('ecret');
});

test('a link that is opened in a page that is there works too', async () => {
  location.hash = '#/password-reset/abc';
  globalThis.dispatchEvent(new HashChangeEvent('hashchange'));
  expect(arrival.value).toEqual({ kind: 'password-reset', token: 'abc' });
  expect(here.value.segments).toEqual([]);
});

test('any other address is left as it is', () => {
  history.replaceState(null, '', '#/p/shop');
  expect(arrive()).toBe(false);
  expect(location.hash).toBe('#/p/shop');
});
