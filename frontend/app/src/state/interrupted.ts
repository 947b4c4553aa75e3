// Uploads that a reload or a closed page interrupted. Only what is needed to go on is kept, on this device: the file itself
// is chosen again.

export interface Interrupted {
  project: string;
  id: string;
  path: string;
  size: number;
  /** When the file was changed last: another one of the same name is another file. */
  modified: number;
  sha256: string;
  parts: { number: number; offset: number; size: number }[];
  /** Bytes that had arrived when it was last seen. */
  sent: number;
}

const STORED = 'workroom.uploads';
const KEPT = 50;

function all(): Interrupted[] {
  try {
    const stored: unknown = JSON.parse(globalThis.localStorage?.getItem(STORED) ?? '[]');
    return Array.isArray(stored) ? stored.filter((one) => typeof one?.id === 'string' && Array.isArray(one.parts)) : [];
  } catch {
    return [];
  }
}

function write(list: Interrupted[]): void {
  try {
    globalThis.localStorage?.setItem(STORED, JSON.stringify(list.slice(0, KEPT)));
  } catch {
    // A full store only means that a reload begins anew.
  }
}

/** Uploads of the project that were begun on this device and not ended. */
export function interrupted(project: string): Interrupted[] {
  return all().filter((one) => one.project === project);
}

export function remember(upload: Interrupted): void {
  write([upload, ...all().filter((other) => other.id !== upload.id)]);
}

export function drop(id: string): void {
  write(all().filter((other) => other.id !== id));
}

/** Whether a chosen file is the one that was on its way. */
export function isSame(upload: Interrupted, path: string, file: File): boolean {
  return upload.path === path && upload.size === file.size && upload.modified === file.lastModified;
}
