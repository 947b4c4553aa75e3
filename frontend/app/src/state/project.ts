// The project that is open, shared by its pages.

import { createContext } from 'preact';
import { useContext, useEffect, useRef } from 'preact/hooks';

import type { EventView, PresenceView, ProjectView } from '../api/generated';
import { here } from './router';
import { announce, follow, people } from './socket';

export interface OpenProject {
  project: ProjectView;
  reload: () => void;
}

export const ProjectContext = createContext<OpenProject | undefined>(undefined);

export function useProject(): OpenProject {
  const open = useContext(ProjectContext);
  if (!open) throw new Error('a project page outside a project');
  return open;
}

/**
 * Calls `handler` for events of the project whose type starts with one of `types`, while the page is shown; without an
 * event when following begins, because what the page has read may be older than that.
 */
export function useEvents(project: ProjectView, types: readonly string[], handler: (event?: EventView) => void): void {
  const latest = useRef(handler);
  latest.current = handler;
  const wanted = types.join(' ');
  useEffect(
    () =>
      follow(
        project.id,
        (event) => {
          if (wanted.split(' ').some((type) => event.type.startsWith(type))) latest.current(event);
        },
        () => latest.current(),
      ),
    [project.id, wanted],
  );
}

/** Who else has the project open, each once, and says where this page is. */
export function usePeople(project: ProjectView, me: string | undefined): PresenceView[] {
  const branch = here.value.query.get('ref');
  const path = here.value.segments[2] === 'file' ? here.value.query.get('path') : null;
  useEffect(() => announce(project.id, { branch: branch ?? project.default_branch, path }), [project.id, branch, path]);
  // One subscription for as long as the project is open, whichever pages come and go.
  useEffect(() => follow(project.id, () => undefined), [project.id]);
  const found = new Map<string, PresenceView>();
  for (const person of people.value.get(project.id) ?? []) {
    // Of several pages of one person, the one in a file says most.
    if (person.account !== me && !found.get(person.account)?.path) found.set(person.account, person);
  }
  return [...found.values()];
}
