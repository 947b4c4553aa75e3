// Whether keys without Ctrl act. Who dictates or has a tremor turns them off (WCAG 2.1.4).

import { signal } from '@preact/signals';

const STORED = 'workroom.keys';

export const keys = signal(globalThis.localStorage?.getItem(STORED) !== 'off');

export function allowKeys(on: boolean): void {
  keys.value = on;
  globalThis.localStorage?.setItem(STORED, on ? 'on' : 'off');
}
