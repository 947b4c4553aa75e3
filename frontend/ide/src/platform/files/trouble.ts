// What can go wrong with a file, in the terms that an editor has for it.

import { Problem } from '../../../../app/src/api/client';
import { t } from '../texts';

export type Reason = 'absent' | 'exists' | 'is-folder' | 'not-folder' | 'refused' | 'away' | 'too-large';

export class FileTrouble extends Error {
  constructor(
    readonly reason: Reason,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the platform could not be asked: nothing was decided, and asking again later is right. */
export function isAway(error: unknown): boolean {
  // `fetch` says so when nobody answers.
  if (error instanceof TypeError) return true;
  return error instanceof Problem && (error.status >= 500 || error.status === 429);
}

export function trouble(error: unknown): Error {
  if (error instanceof FileTrouble) return error;
  if (isAway(error)) return new FileTrouble('away', t('away'));
  if (error instanceof Problem) return new FileTrouble(error.status === 404 ? 'absent' : 'refused', error.message);
  return error instanceof Error ? error : new Error(String(error));
}
