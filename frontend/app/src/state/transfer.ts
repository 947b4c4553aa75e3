// Bytes to storage by a presigned request, with progress.

import type { PresignedView } from '../api/generated';

/** The storage's answer when it is none of success. */
export class Refused extends Error {
  constructor(readonly status: number) {
    super(status === 0 ? 'the storage could not be reached' : `HTTP ${status}`);
  }
}

/** Sends a body; `onSent` hears how many bytes are on their way. */
export function transfer(to: PresignedView, body: Blob, onSent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  const request = new XMLHttpRequest();
  return new Promise<void>((resolve, reject) => {
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new Refused(request.status));
    };
    request.onerror = () => reject(new Refused(0));
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    if (signal.aborted) {
      reject(new DOMException('aborted', 'AbortError'));
      return;
    }
    request.open(to.method, to.url);
    for (const [name, value] of Object.entries(to.headers)) {
      // The browser sets these itself.
      if (!['content-length', 'host'].includes(name.toLowerCase())) request.setRequestHeader(name, String(value));
    }
    request.send(body);
  });
}
