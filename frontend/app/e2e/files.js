// Files on the disk of whoever uploads them, for tests of uploads.

import { createHash } from 'node:crypto';
import { closeSync, createReadStream, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const MIB = 1024 * 1024;
/** A larger file goes in parts of this size. */
export const PART_MIB = 16;

/** A folder for them, which `remove` takes away. */
export function desktop() {
  const folder = mkdtempSync(join(tmpdir(), 'workroom-upload-'));
  return {
    folder,
    /** A file whose every part differs from the others. */
    file(name, mebibytes) {
      const path = join(folder, name);
      const handle = openSync(path, 'w');
      const piece = Buffer.alloc(MIB, name);
      for (let at = 0; at < mebibytes; at += 1) {
        piece.writeUInt32LE(at, 0);
        writeSync(handle, piece);
      }
      closeSync(handle);
      return path;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export async function digest(path) {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest('hex');
}

/** Lets each part wait, so that there is a middle to interrupt. The answer ends it. */
export async function slowly(page, ms) {
  await page.route('**/*', async (route) => {
    if (route.request().method() !== 'PUT') return route.continue();
    await new Promise((resolve) => setTimeout(resolve, ms));
    return route.continue().catch(() => undefined);
  });
  return () => page.unroute('**/*');
}
