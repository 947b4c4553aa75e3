// Where two versions become one: the workbench's merge editor over texts that lie in memory.

import type * as Vscode from 'vscode';

import type { Bench } from '../project';
import { reasonOf } from '../project';
import { t } from '../texts';

export const MERGE = 'workroom-merge';
const MARKER = /^<{7}( |$)/m;

export interface Versions {
  path: string;
  base: string;
  ours: string;
  theirs: string;
  oursTitle: string;
  theirsTitle: string;
  /** With the usual conflict markers; made from the whole files unless it is given. */
  merged?: string;
}

interface Open {
  result: string;
  done: (text: string) => Promise<void>;
  givenUp: () => void;
}

/** Both whole versions between markers: the merge editor begins from its own comparison then. */
function unmerged({ ours, theirs, oursTitle, theirsTitle }: Versions): string {
  const ended = (text: string) => (text === '' || text.endsWith('\n') ? text : `${text}\n`);
  return `<<<<<<< ${oursTitle}\n${ended(ours)}=======\n${ended(theirs)}>>>>>>> ${theirsTitle}\n`;
}

/** Whether a text still has a conflict in it. */
export function isMerged(text: string): boolean {
  return !MARKER.test(text);
}

export class MergeDesk {
  private readonly texts = new Map<string, Uint8Array>();
  private readonly opened = new Map<string, Open>();
  private readonly changes: Vscode.EventEmitter<Vscode.FileChangeEvent[]>;
  private counter = 0;

  constructor(private readonly bench: Bench) {
    const { vscode } = bench;
    this.changes = new vscode.EventEmitter();
    vscode.workspace.registerFileSystemProvider(MERGE, this.fileSystem(), { isCaseSensitive: true });
    vscode.window.tabGroups.onDidChangeTabs(({ closed }) => {
      for (const { input } of closed) {
        const result = (input as { result?: Vscode.Uri } | undefined)?.result;
        if (result?.scheme === MERGE) void this.closed(result.toString());
      }
    });
  }

  private fileSystem(): Vscode.FileSystemProvider {
    const { vscode } = this.bench;
    const found = (uri: Vscode.Uri) => {
      const bytes = this.texts.get(uri.toString());
      if (!bytes) throw vscode.FileSystemError.FileNotFound(uri);
      return bytes;
    };
    const not = (uri: Vscode.Uri) => {
      throw vscode.FileSystemError.NoPermissions(uri);
    };
    return {
      onDidChangeFile: this.changes.event,
      watch: () => ({ dispose: () => undefined }),
      stat: (uri) => ({ type: vscode.FileType.File, ctime: 0, mtime: 0, size: found(uri).length }),
      readFile: found,
      writeFile: (uri, bytes) => void this.texts.set(uri.toString(), bytes),
      readDirectory: () => [],
      createDirectory: not,
      delete: not,
      rename: not,
    };
  }

  /** Opens the merge editor. `done` gets the text once it is accepted; a merge that is closed without is given up. */
  async open(
    versions: Versions,
    done: (text: string) => Promise<void>,
    givenUp: () => void = () => undefined,
  ): Promise<void> {
    const { vscode } = this.bench;
    this.counter += 1;
    const uri = (side: string, text: string) => {
      const at = vscode.Uri.from({ scheme: MERGE, authority: `${side}-${this.counter}`, path: `/${versions.path}` });
      this.texts.set(at.toString(), new TextEncoder().encode(text));
      return at;
    };
    const result = uri('result', versions.merged && !isMerged(versions.merged) ? versions.merged : unmerged(versions));
    this.opened.set(result.toString(), { result: versions.path, done, givenUp });
    await vscode.commands.executeCommand('_open.mergeEditor', {
      base: uri('base', versions.base),
      input1: { uri: uri('theirs', versions.theirs), title: versions.theirsTitle },
      input2: { uri: uri('ours', versions.ours), title: versions.oursTitle },
      output: result,
    });
  }

  private async closed(result: string): Promise<void> {
    const open = this.opened.get(result);
    const text = new TextDecoder().decode(this.texts.get(result));
    this.opened.delete(result);
    for (const side of ['base', 'theirs', 'ours', 'result']) {
      this.texts.delete(result.replace(`${MERGE}://result-`, `${MERGE}://${side}-`));
    }
    if (!open) return;
    if (!isMerged(text)) {
      open.givenUp();
      return;
    }
    try {
      await open.done(text);
    } catch (error) {
      void this.bench.vscode.window.showErrorMessage(t('mergeFailed', { path: open.result, reason: reasonOf(error) }));
    }
  }
}
