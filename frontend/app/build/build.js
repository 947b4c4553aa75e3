// Builds the pages into ../dist and compresses what is worth it: S3 serves `name.br` in the place of `name`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const app = fileURLToPath(new URL('..', import.meta.url));
const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/** What the pages may weigh together, compressed. */
const BUDGET_BYTES = 250_000;
const COMPRESSED = new Set(['.html', '.js', '.css', '.svg', '.json']);

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}

mkdirSync(dist, { recursive: true });
rmSync(join(dist, 'index.html'), { force: true });
rmSync(join(dist, 'index.html.br'), { force: true });
rmSync(join(dist, 'assets'), { recursive: true, force: true });
execFileSync(process.execPath, [join(app, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'], {
  cwd: app,
  stdio: 'inherit',
});

let total = 0;
for (const path of [join(dist, 'index.html'), ...files(join(dist, 'assets'))]) {
  if (!COMPRESSED.has(extname(path))) {
    total += statSync(path).size;
    continue;
  }
  const plain = readFileSync(path);
  const brotli = brotliCompressSync(plain, {
    params: { [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY },
  });
  writeFileSync(`${path}.br`, brotli);
  total += brotli.length;
}
console.log(`frontend: ${Math.round(total / 1000)} kB compressed, of ${BUDGET_BYTES / 1000} kB`);
if (total > BUDGET_BYTES) {
  console.error(`frontend: the pages weigh ${total} bytes compressed, more than ${BUDGET_BYTES}`);
  process.exit(1);
}
