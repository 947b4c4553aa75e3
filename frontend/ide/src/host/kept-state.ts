// Tabs, scroll places and layout are kept soon after they change: the workbench itself does it once a minute and when its
// window is left, which a page that ends at once never reaches.

import { StandaloneServices } from '@codingame/monaco-vscode-api/vscode/vs/editor/standalone/browser/standaloneServices';
import { IStorageService } from '@codingame/monaco-vscode-api/vscode/vs/platform/storage/common/storage.service';
import { IEditorService } from '@codingame/monaco-vscode-api/vscode/vs/workbench/services/editor/common/editorService.service';

const PAUSE_MS = 300;
const EVERY_MS = 5000;

export function keepState(): void {
  const storage = StandaloneServices.get(IStorageService);
  const editors = StandaloneServices.get(IEditorService);
  const keep = () => void storage.flush();
  let timer: ReturnType<typeof setTimeout> | undefined;
  editors.onDidEditorsChange(() => {
    clearTimeout(timer);
    timer = setTimeout(keep, PAUSE_MS);
  });
  setInterval(keep, EVERY_MS);
  document.addEventListener('visibilitychange', keep);
  addEventListener('pagehide', keep);
}
