// Compresses what a build has made: the platform serves `name.br` in the place of `name` (Content-Encoding: br).

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

const COMPRESSED = new Set(['.html', '.js', '.css', '.svg', '.json', '.wasm', '.ttf', '.mp3']);
/** The best quality takes half a minute for ten megabytes. */
const LARGE_BYTES = 1_000_000;
const QUALITY = { small: constants.BROTLI_MAX_QUALITY, large: 9 };

/** Every file at and below `path`. */
export function files(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => files(join(path, name)));
}

/** Compresses the file; the answer is how many bytes are sent for it. */
export function compress(path) {
  const plain = readFileSync(path);
  if (!COMPRESSED.has(extname(path))) return plain.length;
  const quality = plain.length > LARGE_BYTES ? QUALITY.large : QUALITY.small;
  const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length };
  const small = brotliCompressSync(plain, { params });
  if (small.length >= plain.length) return plain.length;
  writeFileSync(`${path}.br`, small);
  return small.length;
}
