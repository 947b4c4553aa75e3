// What the platform module is given: the open project and the ways to reach its parts.

import type { ProjectView } from '../../../app/src/api/generated';
import type { ProjectFiles } from './files';

/** Of the files as the person sees them: `workroom:/{slug}/path`. */
export const SCHEME = 'workroom';
/** Of the files as they are committed. */
export const COMMITTED = 'workroom-committed';

export interface OpenProject {
  project: ProjectView;
  files: ProjectFiles;
}

/** The person's own id. */
export interface Person {
  id: string;
  name: string;
}
