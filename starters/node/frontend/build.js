// Builds src/ into dist/. Put a bundler here when the front end outgrows plain files.
import { cp, rm } from 'node:fs/promises';

const from = new URL('src/', import.meta.url);
const to = new URL('dist/', import.meta.url);

await rm(to, { recursive: true, force: true });
await cp(from, to, { recursive: true });
