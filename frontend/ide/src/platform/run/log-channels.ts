// Logs in the Output panel, followed while the page is open; the figures of their requests go to whoever shows them.

import type * as Vscode from 'vscode';

import type { RequestView } from '../../../../app/src/api/generated';
import { followLog, type LogTarget } from '../../../../app/src/state/socket';
import { plain } from '../../../../app/src/text/ansi';
import { type Bench, fileUri } from '../project';
import type { QuickOpen } from '../search/quick-open';
import { t } from '../texts';
import { known, position } from './problems';

/** Lines whose ids are remembered, so that one that comes again is not shown again. */
const SEEN_MAX = 20_000;

/** The time of a line as it is shown. */
export function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 23);
}

export class LogChannels {
  private readonly shown = new Map<string, { channel: Vscode.OutputChannel; end: () => void }>();
  onRequests: (name: string, requests: RequestView[]) => void = () => undefined;

  constructor(
    private readonly bench: Bench,
    private readonly quickOpen: QuickOpen,
  ) {
    bench.vscode.languages.registerDocumentLinkProvider([{ scheme: 'output' }], {
      provideDocumentLinks: (document) => this.links(document),
    });
  }

  /** Shows a log and follows it from its beginning. */
  show(target: LogTarget, name: string): void {
    const key = JSON.stringify(target);
    let shown = this.shown.get(key);
    if (!shown) {
      shown = this.open(target, name);
      this.shown.set(key, shown);
    }
    shown.channel.show(true);
  }

  private open(target: LogTarget, name: string) {
    const channel = this.bench.vscode.window.createOutputChannel(name, 'log');
    const seen = new Set<string>();
    const end = followLog(
      target,
      ({ lines, requests, sampled }) => {
        const fresh = lines.filter(({ id }) => !seen.has(id));
        for (const { id } of fresh) seen.add(id);
        for (const id of seen) {
          if (seen.size <= SEEN_MAX) break;
          seen.delete(id);
        }
        const text = fresh.map(({ at, message }) => `${clock(at)} ${plain(message).replace(/\n$/, '')}`);
        if (text.length > 0) channel.appendLine(text.join('\n'));
        if (sampled) channel.appendLine(t('sampled'));
        if (requests.length > 0) this.onRequests(name, requests);
      },
      (reason) => {
        if (reason !== '') channel.appendLine(`— ${reason}`);
      },
    );
    return { channel, end };
  }

  /** What a log names of the project opens where it points to. */
  private async links(document: Vscode.TextDocument): Promise<Vscode.DocumentLink[]> {
    const { vscode } = this.bench;
    const paths = await this.quickOpen.list();
    const links: Vscode.DocumentLink[] = [];
    for (let row = 0; row < document.lineCount; row += 1) {
      const found = position(document.lineAt(row).text);
      const path = found && known(found.path, paths);
      if (!found || path === undefined) continue;
      const range = new vscode.Range(row, found.at, row, found.at + found.length);
      links.push(new vscode.DocumentLink(range, fileUri(this.bench, path).with({ fragment: `L${found.line},${found.column}` })));
    }
    return links;
  }
}
