// A link with a secret: an invitation, or a lost password. The secret leaves the address at once, so that neither the
// history nor a screenshot keeps it; it lives in this page's memory until it is used.

import { signal } from '@preact/signals';

export interface Arrival {
  kind: 'invitation' | 'password-reset';
  token: string;
}

export const arrival = signal<Arrival | undefined>(undefined);

const LINK = /^#\/?(invitation|password-reset)\/([^/?]+)/;

/** Takes the secret out of the address; whether there was one. */
export function arrive(): boolean {
  const found = LINK.exec(globalThis.location?.hash ?? '');
  if (!found?.[1] || !found[2]) return false;
  arrival.value = { kind: found[1] as Arrival['kind'], token: decodeURIComponent(found[2]) };
  globalThis.history.replaceState(null, '', '#/');
  return true;
}
