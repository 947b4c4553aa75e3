// The workbench's own texts in Korean. They are looked up by number while its modules are evaluated: this comes before them.

import texts from 'virtual:workbench-korean';

declare global {
  /** Where the workbench looks (`vs/nls`). A number without a text is shown in English. */
  var _VSCODE_NLS_MESSAGES: Readonly<Record<number, string>> | undefined;
  var _VSCODE_NLS_LANGUAGE: string | undefined;
}

globalThis._VSCODE_NLS_MESSAGES = texts;
globalThis._VSCODE_NLS_LANGUAGE = 'ko';
