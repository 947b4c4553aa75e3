// Environments with their live address and their functions.

import type * as Vscode from 'vscode';

import type { EnvironmentView, FunctionView } from '../../../../app/src/api/generated';
import type { Bench } from '../project';
import { t } from '../texts';
import type { FunctionOf, Invoke } from './invoke';

type Place = { environment: string; url: string | undefined; shown: EnvironmentView };
type Node = Place | (FunctionOf & { shown: FunctionView });

const isFunction = (node: Node): node is FunctionOf & { shown: FunctionView } => 'id' in node;

export class EnvironmentsView implements Vscode.TreeDataProvider<Node> {
  private readonly changed: Vscode.EventEmitter<undefined>;
  readonly onDidChangeTreeData: Vscode.Event<undefined>;

  constructor(
    private readonly bench: Bench,
    private readonly invoke: Invoke,
  ) {
    this.changed = new bench.vscode.EventEmitter();
    this.onDidChangeTreeData = this.changed.event;
    bench.vscode.window.registerTreeDataProvider('workroom.environments', this);
  }

  refresh(): void {
    this.changed.fire(undefined);
  }

  async getChildren(node?: Node): Promise<Node[]> {
    if (!node) {
      const found = await this.invoke.environments();
      return found.map((shown) => ({ environment: shown.name, url: shown.url ?? undefined, shown }));
    }
    if (isFunction(node)) return [];
    const functions = await this.invoke.functions(node.environment);
    return functions.map((shown) => ({ environment: node.environment, id: shown.id, shown }));
  }

  getTreeItem(node: Node): Vscode.TreeItem {
    const { vscode } = this.bench;
    if (isFunction(node)) {
      const { runtime, memory_mb, note } = node.shown;
      const item = new vscode.TreeItem(node.id);
      item.description = `${runtime} · ${memory_mb} MB`;
      item.tooltip = note ?? '';
      item.iconPath = new vscode.ThemeIcon('symbol-function');
      item.contextValue = 'function';
      item.command = { title: t('followLog'), command: 'workroom.logs', arguments: [node] };
      return item;
    }
    const item = new vscode.TreeItem(node.environment, vscode.TreeItemCollapsibleState.Expanded);
    item.description = node.shown.commit?.slice(0, 8) ?? t('notDeployedYet');
    item.tooltip = node.url ?? '';
    item.iconPath = new vscode.ThemeIcon('server-environment');
    item.contextValue = node.url ? 'site' : 'environment';
    return item;
  }
}
