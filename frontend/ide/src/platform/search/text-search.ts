// Text across the project, searched where the files are: the person's drafts are laid over the branch there.

import type * as Vscode from 'vscode';

import { call } from '../../../../app/src/api/client';
import { type Bench, fileUri } from '../project';

/** Files with matches that one request answers. */
const FILES_PAGE = 100;

interface Query {
  pattern: string;
  isRegExp?: boolean;
  isCaseSensitive?: boolean;
  isWordMatch?: boolean;
}

interface Options {
  includes: string[];
  excludes: string[];
  maxResults: number;
}

export interface Match {
  uri: Vscode.Uri;
  ranges: Vscode.Range[];
  preview: { text: string; matches: Vscode.Range[] };
}

export class TextSearch {
  constructor(private readonly bench: Bench) {}

  async find(query: Query, options: Options, report: (match: Match) => void, token: Vscode.CancellationToken) {
    const { project, files } = this.bench.open;
    const stop = new AbortController();
    token.onCancellationRequested(() => stop.abort());
    // What was typed is searched too.
    await files.outbox.flush();
    let [cursor, left] = [undefined as string | undefined, options.maxResults];
    do {
      const page = await call('search_files', {
        path: { project: project.slug },
        query: {
          q: query.pattern,
          ref: files.branch,
          regex: query.isRegExp ?? false,
          case: query.isCaseSensitive ?? false,
          word: query.isWordMatch ?? false,
          drafts: true,
          limit: FILES_PAGE,
          ...(options.includes.length > 0 ? { include: options.includes.join(',') } : {}),
          ...(options.excludes.length > 0 ? { exclude: options.excludes.join(',') } : {}),
          ...(cursor === undefined ? {} : { cursor }),
        },
      }, { signal: stop.signal });
      for (const { path, matches } of page.items) {
        for (const match of matches) {
          if (left <= 0) return { limitHit: true };
          left -= match.ranges.length;
          report(this.match(path, match));
        }
      }
      cursor = page.next ?? undefined;
      if (cursor === undefined && page.limited) return { limitHit: true };
    } while (cursor !== undefined && !token.isCancellationRequested);
    return { limitHit: false };
  }

  private match(path: string, { line, text, ranges }: { line: number; text: string; ranges: { start: number; end: number }[] }): Match {
    const { Range } = this.bench.vscode;
    return {
      uri: fileUri(this.bench, path),
      ranges: ranges.map(({ start, end }) => new Range(line - 1, start, line - 1, end)),
      preview: { text, matches: ranges.map(({ start, end }) => new Range(0, start, 0, end)) },
    };
  }
}
