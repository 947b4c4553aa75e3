// A job's result, read with care: it is JSON that older releases of the platform may have written.

import type { ArtifactView, UnsupportedView } from '../api/generated';

export interface JobResult {
  url: string | undefined;
  artifacts: ArtifactView[];
  unsupported: UnsupportedView[];
  notes: string[];
  outputs: [name: string, value: string][];
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export function readResult(result: unknown): JobResult {
  const found = (typeof result === 'object' && result !== null ? result : {}) as Record<string, unknown>;
  const outputs = typeof found.outputs === 'object' && found.outputs !== null ? found.outputs : {};
  return {
    url: text(found.url) || undefined,
    artifacts: list(found.artifacts).map((item) => ({
      name: text(item.name),
      kind: text(item.kind),
      sha256: text(item.sha256),
      length: Number(item.length ?? 0),
    })),
    unsupported: list(found.unsupported).map((item) => ({
      resource: text(item.resource),
      type: text(item.type),
      property: text(item.property) || null,
      reason: text(item.reason),
    })),
    notes: Array.isArray(found.notes) ? found.notes.filter((note): note is string => typeof note === 'string') : [],
    outputs: Object.entries(outputs).map(([name, value]) => [name, String(value)]),
  };
}
