// Brings both searches to the workbench. The API for that is proposed, not published: a host that has it allows it by name.

import type * as Vscode from 'vscode';

import { type Bench, SCHEME } from '../project';
import { QuickOpen } from './quick-open';
import { type Match, TextSearch } from './text-search';

/** The proposed names that are used. */
export const PROPOSED = ['fileSearchProvider', 'textSearchProvider'];

interface Options {
  includes: string[];
  excludes: string[];
  maxResults: number;
}

interface Proposed {
  registerFileSearchProvider(
    scheme: string,
    provider: { provideFileSearchResults(query: { pattern: string }, options: Options): Promise<Vscode.Uri[]> },
  ): Vscode.Disposable;
  registerTextSearchProvider(
    scheme: string,
    provider: {
      provideTextSearchResults(
        query: { pattern: string; isRegExp?: boolean; isCaseSensitive?: boolean; isWordMatch?: boolean },
        options: Options,
        progress: Vscode.Progress<Match>,
        token: Vscode.CancellationToken,
      ): Promise<{ limitHit: boolean }>;
    },
  ): Vscode.Disposable;
}

export function registerSearch(bench: Bench): void {
  const workspace = bench.vscode.workspace as unknown as Proposed;
  const quickOpen = new QuickOpen(bench);
  const text = new TextSearch(bench);
  workspace.registerFileSearchProvider(SCHEME, {
    provideFileSearchResults: ({ pattern }, options) => quickOpen.find(pattern, options),
  });
  workspace.registerTextSearchProvider(SCHEME, {
    provideTextSearchResults: (query, options, progress, token) =>
      text.find(query, options, (match) => progress.report(match), token),
  });
}
