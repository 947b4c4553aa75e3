// SHA-256 beside the page, so that neither a file's size nor the page's liveliness matters.

/** Computes checksums in a worker; `close` ends it and whatever it does. */
export class Digester {
  private readonly worker = new Worker(new URL('./digest.worker.ts', import.meta.url), { type: 'module' });
  private readonly waiting = new Map<number, { resolve: (hex: string) => void; reject: (error: Error) => void; onPart: (part: number) => void }>();
  private last = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<{ id: number; part?: number; sha256?: string; error?: string }>) => {
      const asked = this.waiting.get(data.id);
      if (data.part !== undefined) asked?.onPart(data.part);
      if (data.sha256 !== undefined) asked?.resolve(data.sha256);
      if (data.error !== undefined) asked?.reject(new Error(data.error));
      if (data.part === undefined) this.waiting.delete(data.id);
    };
    this.worker.onerror = (event) => this.refuse(new Error(event.message));
  }

  /** In hex. `onPart` hears how far it is, 0 to 1. */
  sha256(data: Blob, onPart: (part: number) => void = () => undefined): Promise<string> {
    this.last += 1;
    const id = this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, onPart });
      this.worker.postMessage({ id, data });
    });
  }

  close(): void {
    this.worker.terminate();
    this.refuse(new Error('cancelled'));
  }

  private refuse(error: Error): void {
    for (const asked of this.waiting.values()) asked.reject(error);
    this.waiting.clear();
  }
}
