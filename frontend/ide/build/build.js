// Builds the workbench into ../dist/ide, compressed. Its own test holds the budget of what is fetched at the start.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { compress, files } from '../../build/compress.js';

const ide = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../dist/ide', import.meta.url));

/** API Gateway refuses more (10 MB), before any compression of its own. */
const OBJECT_BYTES_MAX = 10_485_760;

execFileSync(process.execPath, [join(ide, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'error'], {
  cwd: ide,
  stdio: 'inherit',
});

let total = 0;
for (const path of files(dist)) {
  const sent = compress(path);
  total += sent;
  if (sent > OBJECT_BYTES_MAX) {
    console.error(`${path} is ${sent} bytes as it is sent: the gateway takes ${OBJECT_BYTES_MAX}`);
    process.exit(1);
  }
}
console.log(`workbench: ${(total / 1_000_000).toFixed(1)} MB compressed, in all`);
