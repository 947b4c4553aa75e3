// What requests took and cost, newest first: a row for each REPORT line of the logs that are followed.

import type * as Vscode from 'vscode';

import type { RequestView } from '../../../../app/src/api/generated';
import { invocationCost, perThousand } from '../../../../app/src/text/cost';
import type { Bench } from '../project';
import { t } from '../texts';

const ROWS_MAX = 500;

export interface Row {
  log: string;
  request: RequestView;
}

/** One request as a row of figures. */
export function rowText({ request }: Row): { label: string; description: string } {
  const { duration_ms, billed_duration_ms, memory_mb, max_memory_used_mb, init_duration_ms, status } = request;
  const cost = perThousand(invocationCost(billed_duration_ms, memory_mb));
  const parts = [
    t('billed', { ms: billed_duration_ms }),
    `${max_memory_used_mb} / ${memory_mb} MB`,
    cost,
    init_duration_ms ? t('coldStart', { ms: init_duration_ms.toFixed(0) }) : '',
    status ?? '',
  ];
  return { label: `${duration_ms.toFixed(1)} ms`, description: parts.filter((part) => part !== '').join(' · ') };
}

/** All rows together. */
export function totalText(rows: readonly Row[]): { label: string; description: string } {
  const times = rows.map(({ request }) => request.duration_ms).sort((one, other) => one - other);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  const usd = rows.reduce((sum, { request }) => sum + invocationCost(request.billed_duration_ms, request.memory_mb), 0);
  const cold = rows.filter(({ request }) => request.cold_start).length;
  return {
    label: t('requests', { count: rows.length }),
    description: `${t('median', { ms: median.toFixed(1) })} · ${t('coldStarts', { count: cold })} · $${usd.toFixed(7)}`,
  };
}

type Node = Row | 'total';

export class FiguresView implements Vscode.TreeDataProvider<Node> {
  private rows: Row[] = [];
  private readonly changed: Vscode.EventEmitter<undefined>;
  readonly onDidChangeTreeData: Vscode.Event<undefined>;

  constructor(private readonly bench: Bench) {
    this.changed = new bench.vscode.EventEmitter();
    this.onDidChangeTreeData = this.changed.event;
    bench.vscode.window.registerTreeDataProvider('workroom.figures', this);
  }

  add(log: string, requests: RequestView[]): void {
    const known = new Set(this.rows.map(({ request }) => request.request_id));
    const fresh = requests.filter(({ request_id }) => !known.has(request_id)).map((request) => ({ log, request }));
    if (fresh.length === 0) return;
    this.rows = [...fresh.reverse(), ...this.rows].slice(0, ROWS_MAX);
    this.changed.fire(undefined);
  }

  getChildren(node?: Node): Node[] {
    if (node || this.rows.length === 0) return [];
    return ['total', ...this.rows];
  }

  getTreeItem(node: Node): Vscode.TreeItem {
    const { vscode } = this.bench;
    const { label, description } = node === 'total' ? totalText(this.rows) : rowText(node);
    const item = new vscode.TreeItem(label);
    item.description = description;
    if (node === 'total') item.iconPath = new vscode.ThemeIcon('graph');
    else {
      const { status, cold_start, request_id } = node.request;
      item.iconPath = new vscode.ThemeIcon(status ? 'error' : cold_start ? 'flame' : 'pass');
      item.tooltip = `${node.log}\n${request_id}`;
    }
    return item;
  }
}
