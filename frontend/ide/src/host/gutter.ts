// Marks of changed lines beside the text. This distribution of the workbench compares each file with its committed version,
// but leaves out the part that draws the result: it is drawn here.

import type { IReference } from '@codingame/monaco-vscode-api/vscode/vs/base/common/lifecycle';
import type { ICodeEditor } from '@codingame/monaco-vscode-api/vscode/vs/editor/browser/editorBrowser';
import { MouseTargetType } from '@codingame/monaco-vscode-api/vscode/vs/editor/browser/editorBrowser';
import { ICodeEditorService } from '@codingame/monaco-vscode-api/vscode/vs/editor/browser/services/codeEditorService.service';
import type { IModelDeltaDecoration } from '@codingame/monaco-vscode-api/vscode/vs/editor/common/model';
import { StandaloneServices } from '@codingame/monaco-vscode-api/vscode/vs/editor/standalone/browser/standaloneServices';
import { ICommandService } from '@codingame/monaco-vscode-api/vscode/vs/platform/commands/common/commands.service';
import { IQuickDiffModelService } from '@codingame/monaco-vscode-api/vscode/vs/workbench/contrib/scm/browser/quickDiffModel.service';

import { SCHEME } from '../platform/project';

const RETRY_MS = 250;
/** A file that is not read by then shows its marks when it is opened again. */
const RETRIES_MAX = 40;

type Model = NonNullable<ReturnType<typeof modelOf>>['object'];
type Change = Model['changes'][number];

const modelOf = (resource: NonNullable<ReturnType<ICodeEditor['getModel']>>['uri']) =>
  StandaloneServices.get(IQuickDiffModelService).createQuickDiffModelReference(resource);

const STYLE = `
.workroom-change { margin-left: 4px; width: 3px !important; cursor: pointer; z-index: 5; }
.workroom-change:hover { width: 6px !important; margin-left: 1px; }
.workroom-change.added { background: var(--vscode-editorGutter-addedBackground); }
.workroom-change.modified { background: var(--vscode-editorGutter-modifiedBackground); }
.workroom-change.deleted { height: 4px !important; background: var(--vscode-editorGutter-deletedBackground); }
`;

/** Where a change is marked, and as what. An end before its start is an empty range. */
function decoration({ change }: Change): IModelDeltaDecoration {
  const { originalEndLineNumber, modifiedStartLineNumber: start, modifiedEndLineNumber: end } = change;
  const kind = end === 0 ? 'deleted' : originalEndLineNumber === 0 ? 'added' : 'modified';
  const [from, to] = kind === 'deleted' ? [Math.max(1, start), Math.max(1, start)] : [start, end];
  return {
    range: { startLineNumber: from, startColumn: 1, endLineNumber: to, endColumn: 1 },
    options: { description: 'workroom-change', linesDecorationsClassName: `workroom-change ${kind}`, isWholeLine: true },
  };
}

/** Marks one editor for as long as it lives. */
function mark(editor: ICodeEditor): void {
  const marks = editor.createDecorationsCollection();
  let reference: IReference<Model> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const clear = () => {
    clearTimeout(timer);
    reference?.dispose();
    reference = undefined;
    marks.clear();
  };
  const show = (round = 0) => {
    clear();
    const resource = editor.getModel()?.uri;
    if (resource?.scheme !== SCHEME || round > RETRIES_MAX) return;
    const found = modelOf(resource);
    if (!found) {
      // The file is still being read.
      timer = setTimeout(() => show(round + 1), RETRY_MS);
      return;
    }
    reference = found;
    const draw = () => marks.set(found.object.changes.map(decoration));
    found.object.onDidChange(draw);
    draw();
  };
  editor.onDidChangeModel(() => show());
  editor.onDidDispose(clear);
  editor.onMouseDown(({ target }) => {
    const isMark = target.element?.classList.contains('workroom-change') ?? false;
    if (isMark && target.type === MouseTargetType.GUTTER_LINE_DECORATIONS) {
      void StandaloneServices.get(ICommandService).executeCommand('workroom.openChanges', target.position?.lineNumber);
    }
  });
  show();
}

export function showGutter(): void {
  document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }));
  const editors = StandaloneServices.get(ICodeEditorService);
  for (const editor of editors.listCodeEditors()) mark(editor);
  editors.onCodeEditorAdd(mark);
}
