import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

import { call } from '../api/client';
import type { ProjectView } from '../api/generated';
import { href } from '../state/router';

const known = signal<ReadonlyMap<string, ProjectView>>(new Map());
const asked = new Set<string>();

/** Reads a project once, however many rows name it. One that is gone keeps its id. */
async function learn(id: string): Promise<void> {
  if (asked.has(id)) return;
  asked.add(id);
  try {
    const project = await call('get_project', { path: { project: id } });
    known.value = new Map(known.value).set(id, project);
  } catch {
    asked.delete(id);
  }
}

/** A project by its name, in lists that know its id alone. */
export function ProjectLink({ id }: { id: string }) {
  useEffect(() => void learn(id), [id]);
  const project = known.value.get(id);
  return <a href={href(['p', project?.slug ?? id])}>{project?.name ?? id}</a>;
}
