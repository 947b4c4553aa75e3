/** Bytes as text; `undefined` when they are none (a NUL byte, or not UTF-8). */
export function textOf(bytes: ArrayBuffer): string | undefined {
  const view = new Uint8Array(bytes);
  if (view.subarray(0, 8000).includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(view);
  } catch {
    return undefined;
  }
}
