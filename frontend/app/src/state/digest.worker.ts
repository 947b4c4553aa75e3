// Computes the SHA-256 of a file, or of a part of one, piece by piece.

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const PIECE_BYTES = 4 * 1024 * 1024;

self.onmessage = async (message: MessageEvent<{ id: number; data: Blob }>) => {
  const { id, data } = message.data;
  try {
    const hash = sha256.create();
    for (let at = 0; at < data.size; at += PIECE_BYTES) {
      hash.update(new Uint8Array(await data.slice(at, at + PIECE_BYTES).arrayBuffer()));
      self.postMessage({ id, part: Math.min(1, (at + PIECE_BYTES) / data.size) });
    }
    self.postMessage({ id, sha256: bytesToHex(hash.digest()) });
  } catch (error) {
    self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
  }
};
