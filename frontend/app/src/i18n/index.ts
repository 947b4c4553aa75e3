// Texts, numbers and times in the person's language.

import { computed, signal } from '@preact/signals';

import { en, type TextKey } from './en';
import { ko } from './ko';

export type { TextKey } from './en';

export const LANGUAGES = { en: 'English', ko: '한국어' } as const;
export type Language = keyof typeof LANGUAGES;

const STORED = 'workroom.language';
const catalogues: Record<Language, Record<TextKey, string>> = { en, ko };

function first(): Language {
  const stored = globalThis.localStorage?.getItem(STORED);
  if (stored === 'en' || stored === 'ko') return stored;
  return globalThis.navigator?.language.startsWith('ko') ? 'ko' : 'en';
}

export const language = signal<Language>(first());

export function speak(chosen: Language): void {
  language.value = chosen;
  globalThis.localStorage?.setItem(STORED, chosen);
  globalThis.document.documentElement.lang = chosen;
}

/** The text for a key, with `{names}` filled in. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return catalogues[language.value][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

const moments = computed(() => new Intl.DateTimeFormat(language.value, { dateStyle: 'medium', timeStyle: 'short' }));
const relatives = computed(() => new Intl.RelativeTimeFormat(language.value, { numeric: 'auto' }));
const numbers = computed(() => new Intl.NumberFormat(language.value));

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
];

/** A point in time: milliseconds since 1970. */
export function moment(at: number): string {
  return moments.value.format(at);
}

/** `2026-11` as people name it. */
export function monthName(month: string): string {
  const format = new Intl.DateTimeFormat(language.value, { year: 'numeric', month: 'long', timeZone: 'UTC' });
  return format.format(new Date(`${month}-01T00:00:00Z`));
}

/** How long ago, or until when. */
export function ago(at: number, now: number = Date.now()): string {
  const seconds = (at - now) / 1000;
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return relatives.value.format(Math.round(seconds / length), unit);
  }
  return relatives.value.format(Math.round(seconds), 'second');
}

export function count(value: number): string {
  return numbers.value.format(value);
}

/** 1536 is `1.5 KB` (1 KB is 1,024 bytes). */
export function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let shown = value;
  let unit = 0;
  while (shown >= 1024 && unit < units.length - 1) {
    shown /= 1024;
    unit += 1;
  }
  return `${count(unit === 0 || shown >= 100 ? Math.round(shown) : Math.round(shown * 10) / 10)} ${units[unit]}`;
}

/** Milliseconds as `850 ms`, `12.3 s` or `2 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms * 100) / 100} ms`;
  if (ms < 60_000) return `${Math.round(ms / 100) / 10} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export function percent(part: number): string {
  return `${Math.floor(part * 100)} %`;
}
