// What was just done, said at the foot of the page, with a way back where there is one.

import { signal } from '@preact/signals';

export interface Notice {
  id: number;
  text: string;
  /** Takes it back. */
  undo: (() => Promise<unknown>) | undefined;
}

/** Long enough to read and to reach by keyboard (WCAG 2.2.1: pointing at it or focusing it stops the clock). */
const SHOWN_MS = 12_000;

export const notice = signal<Notice | undefined>(undefined);

let last = 0;
let timer: ReturnType<typeof setTimeout> | undefined;

export function tell(text: string, undo?: () => Promise<unknown>): void {
  last += 1;
  notice.value = { id: last, text, undo };
  resume();
}

/** Keeps what is shown for as long as it is looked at. */
export function pause(): void {
  clearTimeout(timer);
}

export function resume(): void {
  clearTimeout(timer);
  timer = setTimeout(dismiss, SHOWN_MS);
}

export function dismiss(): void {
  clearTimeout(timer);
  notice.value = undefined;
}
