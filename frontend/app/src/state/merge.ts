// A merge that someone decides: the conflicts, what was chosen for each, and what the API is told.

import { call, Problem } from '../api/client';
import type { ConflictView, MergePreviewView, ResolutionBody } from '../api/generated';
import { textOf } from '../text/content';

/** What a person decided for one path. */
export type Decision = { kind: 'text'; text: string } | { kind: 'ours' | 'theirs' | 'delete' };

export interface Sides {
  base: string;
  ours: string;
  theirs: string;
}

/** Whether the file can be merged as text. */
export function isText(conflict: ConflictView): boolean {
  return typeof conflict.merged === 'string';
}

/** The texts of a conflict's sides, read from the commits of the preview. */
export async function sidesOf(project: string, conflict: ConflictView, preview: MergePreviewView): Promise<Sides> {
  const read = async (side: ConflictView['ours'], commit: string | null | undefined) => {
    if (!side || !commit) return '';
    try {
      const bytes = await call('get_file', { path: { project }, query: { ref: commit, path: side.path } });
      return textOf(bytes as ArrayBuffer) ?? '';
    } catch (error) {
      // Of several bases the one that was merged with is in no commit.
      if (error instanceof Problem && error.status === 404) return '';
      throw error;
    }
  };
  const [base, ours, theirs] = await Promise.all([
    read(conflict.base, preview.merge_base),
    read(conflict.ours, preview.into_commit),
    read(conflict.theirs, preview.from_commit),
  ]);
  return { base, ours, theirs };
}

/** What the API is told about a decision. */
export function resolutionOf(conflict: ConflictView, decision: Decision): ResolutionBody {
  const { path } = conflict;
  switch (decision.kind) {
    case 'text':
      return { path, content: decision.text };
    case 'delete':
      return { path, delete: true };
    default:
      // The side that has no file is a deletion.
      return conflict[decision.kind] ? { path, side: decision.kind } : { path, delete: true };
  }
}
