// Language, theme and keys follow the person from device to device. What else is in their settings is the IDE's.

import { call, callVersioned, Problem } from '../api/client';
import { type Language, language, speak } from '../i18n';
import { allowKeys, keys } from './keys';
import { type Theme, theme, wear } from './theme';

interface Preferences {
  language?: Language;
  theme?: Theme;
  keys?: boolean;
}

/** Of the settings that they share with the IDE. */
const MEMBER = 'pages';
const TRIES = 3;

function mine(settings: Record<string, unknown>): Preferences {
  const found = settings[MEMBER];
  return typeof found === 'object' && found !== null ? found : {};
}

/** Takes on what the person chose elsewhere. Without an answer this device's own choices hold. */
export async function adopt(): Promise<void> {
  const { settings } = await call('get_settings');
  const wanted = mine(settings);
  if (wanted.language === 'en' || wanted.language === 'ko') speak(wanted.language);
  if (wanted.theme === 'system' || wanted.theme === 'light' || wanted.theme === 'dark') wear(wanted.theme);
  if (typeof wanted.keys === 'boolean') allowKeys(wanted.keys);
}

/** Keeps what is chosen now; what another page changed meanwhile stays. */
export async function keep(): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { value, etag } = await callVersioned('get_settings', {});
    const chosen: Preferences = { language: language.value, theme: theme.value, keys: keys.value };
    const settings = { ...value.settings, [MEMBER]: { ...mine(value.settings), ...chosen } };
    try {
      await call('set_settings', { body: { settings } }, { ifMatch: etag });
      return;
    } catch (error) {
      const moved = error instanceof Problem && error.status === 412;
      if (!moved || attempt === TRIES) throw error;
    }
  }
}
