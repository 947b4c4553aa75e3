import { beforeEach, expect, test, vi } from 'vitest';

import { Problem } from '../src/api/client';
import { language } from '../src/i18n';
import { adopt, keep } from '../src/state/preferences';
import { theme, wear } from '../src/state/theme';

/** The person's settings as the platform keeps them. */
const stored = { settings: {} as Record<string, unknown>, version: 1, between: undefined as (() => void) | undefined };

vi.mock('../src/api/client', async (original) => ({
  ...(await original<object>()),
  callVersioned: async () => ({ value: { settings: stored.settings }, etag: `"${stored.version}"` }),
  call: async (name: string, parts: { body: { settings: Record<string, unknown> } }, control: { ifMatch: string }) => {
    if (name === 'get_settings') return { settings: stored.settings };
    stored.between?.();
    stored.between = undefined;
    if (control.ifMatch !== `"${stored.version}"`) throw new Problem(412, {});
    stored.settings = parts.body.settings;
    stored.version += 1;
    return { settings: stored.settings };
  },
}));

beforeEach(() => {
  Object.assign(stored, { settings: {}, version: 1, between: undefined });
  wear('system');
});

test('what was chosen on another device is taken on', async () => {
  stored.settings = { pages: { theme: 'dark', language: 'ko' } };
  await adopt();
  expect([theme.value, language.value]).toEqual(['dark', 'ko']);
});

test('what cannot be is left as it is', async () => {
  stored.settings = { pages: { theme: 'pink', language: 7 } };
  await adopt();
  expect(theme.value).toBe('system');
});

test('the settings of the IDE stay, also those that come at the same moment', async () => {
  stored.settings = { ide: { fontSize: 14 } };
  stored.between = () => {
    stored.settings = { ide: { fontSize: 15 } };
    stored.version += 1;
  };
  wear('dark');
  await keep();
  expect(stored.settings).toMatchObject({ ide: { fontSize: 15 }, pages: { theme: 'dark' } });
});
