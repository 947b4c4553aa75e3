// The project that is open, shared by its pages.

import { createContext } from 'preact';
import { useContext, useEffect, useRef } from 'preact/hooks';

import type { EventView, ProjectView } from '../api/generated';
import { follow } from './socket';

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
