// Builds the pages into ../dist, compressed, and keeps them within their budget.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { compress, files } from '../../build/compress.js';

const app = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/** What the pages may weigh together, compressed. */
const BUDGET_BYTES = 250_000;

mkdirSync(dist, { recursive: true });
for (const old of ['index.html', 'index.html.br', 'assets']) rmSync(join(dist, old), { recursive: true, force: true });
execFileSync(process.execPath, [join(app, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], {
  cwd: app,
  stdio: 'inherit',
});

const made = [join(dist, 'index.html'), ...files(join(dist, 'assets'))];
const total = made.reduce((sum, path) => sum + compress(path), 0);
console.log(`pages: ${Math.round(total / 1000)} kB compressed, of ${BUDGET_BYTES / 1000} kB`);
if (total > BUDGET_BYTES) {
  console.error(`the pages weigh ${total} bytes compressed, more than ${BUDGET_BYTES}`);
  process.exit(1);
}
