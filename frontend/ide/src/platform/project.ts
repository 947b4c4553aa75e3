// What the platform module is given: the open project and the ways to reach its parts.

import type * as Vscode from 'vscode';

import type { ProjectView } from '../../../app/src/api/generated';
import type { ProjectFiles } from './files/project-files';

/** Of the files as the person sees them: `workroom:/{slug}/path`. */
export const SCHEME = 'workroom';
/** Of the files of a commit, which is the query. */
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

/** What is around the workbench: other pages, and what outlives this one. */
export interface Surroundings {
  /** Goes to another branch of the project. */
  switchBranch(branch: string): void;
  /** Goes to the project's pages; `part` is `files`, `jobs`, … */
  showPages(part?: string): void;
  /** Lets the browser save what is at an address, which also names it. */
  download(address: string): void;
}

/** Everything that a part of the platform is made with. */
export interface Bench {
  vscode: typeof Vscode;
  open: OpenProject;
  person: Person;
  around: Surroundings;
}

export function fileUri({ vscode, open }: Bench, path: string): Vscode.Uri {
  return vscode.Uri.from({ scheme: SCHEME, path: `/${open.project.slug}/${path}` });
}

/** A file as it is in a commit; in the branch's newest one unless another is named. */
export function committedUri({ vscode, open }: Bench, path: string, commit = open.files.head): Vscode.Uri {
  return vscode.Uri.from({ scheme: COMMITTED, path: `/${open.project.slug}/${path}`, query: commit });
}

/** The path in the project. */
export function pathOf({ open }: Bench, uri: Vscode.Uri): string {
  return uri.path.slice(open.project.slug.length + 2);
}

/** The file of the active editor, when it is one of the project. */
export function activePath(bench: Bench): string | undefined {
  const uri = bench.vscode.window.activeTextEditor?.document.uri;
  return uri?.scheme === SCHEME ? pathOf(bench, uri) : undefined;
}

export const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
