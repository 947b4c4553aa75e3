// Who is signed in.

import { signal } from '@preact/signals';

import { call, onSignedOut, Problem } from '../api/client';
import type { AccountView } from '../api/generated';
import { adopt } from './preferences';

/** `undefined` until the platform has said; `null` when nobody is signed in. */
export const account = signal<AccountView | null | undefined>(undefined);

onSignedOut(() => {
  account.value = null;
});

/** Asks who the session belongs to. */
export async function loadAccount(): Promise<void> {
  try {
    account.value = await call('get_me', {}, { expectSignedOut: true });
    taken();
  } catch (error) {
    if (!(error instanceof Problem) || error.status !== 401) throw error;
    account.value = null;
  }
}

/** Takes on the person's own settings, a moment later than the page. */
function taken(): void {
  adopt().catch(() => undefined);
}

export async function signIn(email: string, password: string): Promise<void> {
  const session = await call('create_session', { body: { email, password } }, { expectSignedOut: true });
  account.value = session.account;
  taken();
}

export async function signOut(): Promise<void> {
  await call('delete_session');
  account.value = null;
}

/** Ends the session here, whether or not the platform still knew it. */
export async function forget(): Promise<void> {
  await call('delete_session', {}, { expectSignedOut: true }).catch(() => undefined);
  account.value = null;
}
