// What the platform says inside the workbench. The compiler says which language lacks a text.

import { en } from './texts/en';
import { ko } from './texts/ko';

export type Language = 'en' | 'ko';

/** The person's choice on the other pages; else the browser's language. */
export function chosenLanguage(): Language {
  const stored = globalThis.localStorage?.getItem('workroom.language');
  if (stored === 'en' || stored === 'ko') return stored;
  return globalThis.navigator?.language.startsWith('ko') ? 'ko' : 'en';
}

export function t(key: keyof typeof en, values: Record<string, string | number> = {}): string {
  const text = (chosenLanguage() === 'ko' ? ko : en)[key];
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** How long ago, in the person's language. */
export function ago(at: number, now: number = Date.now()): string {
  const format = new Intl.RelativeTimeFormat(chosenLanguage(), { numeric: 'auto' });
  const seconds = (at - now) / 1000;
  const [unit, length] = STEPS.find(([, step]) => Math.abs(seconds) >= step) ?? ['second', 1];
  return format.format(Math.round(seconds / length), unit);
}
