// Light, dark, or as the system says.

import { signal } from '@preact/signals';

const STORED = 'workroom.theme';

export type Theme = 'system' | 'light' | 'dark';

function first(): Theme {
  const stored = globalThis.localStorage?.getItem(STORED);
  return stored === 'light' || stored === 'dark' ? stored : 'system';
}

export const theme = signal<Theme>(first());

export function wear(chosen: Theme): void {
  theme.value = chosen;
  globalThis.localStorage?.setItem(STORED, chosen);
  apply();
}

/** Brings the choice to the document. */
export function apply(): void {
  globalThis.document.documentElement.dataset.theme = theme.value;
}
