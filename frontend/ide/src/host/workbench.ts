// The workbench: VS Code's own, without gallery, telemetry, chat or remote services.

import 'vscode/localExtensionHost';

import '@codingame/monaco-vscode-css-default-extension';
import '@codingame/monaco-vscode-html-default-extension';
import '@codingame/monaco-vscode-ini-default-extension';
import '@codingame/monaco-vscode-javascript-default-extension';
import '@codingame/monaco-vscode-json-default-extension';
import '@codingame/monaco-vscode-make-default-extension';
import '@codingame/monaco-vscode-markdown-basics-default-extension';
import '@codingame/monaco-vscode-python-default-extension';
import '@codingame/monaco-vscode-references-view-default-extension';
import '@codingame/monaco-vscode-search-result-default-extension';
import '@codingame/monaco-vscode-shellscript-default-extension';
import '@codingame/monaco-vscode-theme-defaults-default-extension';
import '@codingame/monaco-vscode-typescript-basics-default-extension';
import '@codingame/monaco-vscode-yaml-default-extension';

import accessibility from '@codingame/monaco-vscode-accessibility-service-override';
import { initialize } from '@codingame/monaco-vscode-api';
import { ExtensionHostKind, registerExtension } from '@codingame/monaco-vscode-api/extensions';
import { URI } from '@codingame/monaco-vscode-api/vscode/vs/base/common/uri';
import configuration from '@codingame/monaco-vscode-configuration-service-override';
import dialogs from '@codingame/monaco-vscode-dialogs-service-override';
import environment from '@codingame/monaco-vscode-environment-service-override';
import explorer from '@codingame/monaco-vscode-explorer-service-override';
import extensions from '@codingame/monaco-vscode-extensions-service-override';
import {
  createIndexedDBProviders,
  registerCustomProvider,
} from '@codingame/monaco-vscode-files-service-override';
import keybindings from '@codingame/monaco-vscode-keybindings-service-override';
import languages from '@codingame/monaco-vscode-languages-service-override';
import lifecycle from '@codingame/monaco-vscode-lifecycle-service-override';
import log from '@codingame/monaco-vscode-log-service-override';
import markers from '@codingame/monaco-vscode-markers-service-override';
import model from '@codingame/monaco-vscode-model-service-override';
import multiDiff from '@codingame/monaco-vscode-multi-diff-editor-service-override';
import notifications from '@codingame/monaco-vscode-notifications-service-override';
import outline from '@codingame/monaco-vscode-outline-service-override';
import output from '@codingame/monaco-vscode-output-service-override';
import preferences from '@codingame/monaco-vscode-preferences-service-override';
import quickaccess from '@codingame/monaco-vscode-quickaccess-service-override';
import scm from '@codingame/monaco-vscode-scm-service-override';
import search from '@codingame/monaco-vscode-search-service-override';
import snippets from '@codingame/monaco-vscode-snippets-service-override';
import storage from '@codingame/monaco-vscode-storage-service-override';
import textmate from '@codingame/monaco-vscode-textmate-service-override';
import theme from '@codingame/monaco-vscode-theme-service-override';
import banner from '@codingame/monaco-vscode-view-banner-service-override';
import statusBar from '@codingame/monaco-vscode-view-status-bar-service-override';
import titleBar from '@codingame/monaco-vscode-view-title-bar-service-override';
import workbench from '@codingame/monaco-vscode-workbench-service-override';
import workingCopy from '@codingame/monaco-vscode-working-copy-service-override';
import type * as Vscode from 'vscode';

import { contributions } from '../platform/contributions';
import { type OpenProject, SCHEME } from '../platform/project';
import { PROPOSED } from '../platform/search/register';
import { FileSystem } from './file-system';
import { showGutter } from './gutter';
import { keepState } from './kept-state';
import { handOnLargeFiles } from './large-files';
import { awaitCommittedTexts } from './late-texts';
import { showOutputAtOnce } from './live-output';
import { bringSettings, keepSettings, type StoredSettings } from './person-settings';

const WORKERS: Record<string, () => Worker> = {
  editorWorkerService: () =>
    new Worker(new URL('@codingame/monaco-vscode-api/workers/editor.worker', import.meta.url), { type: 'module' }),
  TextMateWorker: () =>
    new Worker(new URL('@codingame/monaco-vscode-textmate-service-override/worker', import.meta.url), { type: 'module' }),
};

/** What people expect of a platform that keeps every draft. */
const DEFAULTS = {
  'files.autoSave': 'afterDelay',
  'files.autoSaveDelay': 600,
  'files.exclude': { '**/.git': true },
  'scm.alwaysShowRepositories': true,
  'scm.diffDecorations': 'all',
  // Colours computed in a worker can come for a text that has changed since, and the workbench then fails on them.
  'editor.experimental.asyncTokenization': false,
  'editor.minimap.enabled': false,
  'workbench.startupEditor': 'none',
  'workbench.editor.useModal': 'off',
  'workbench.tips.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'extensions.autoUpdate': false,
  'mergeEditor.diffAlgorithm': 'advanced',
  'workbench.editor.enablePreview': true,
  'explorer.confirmDelete': true,
  'explorer.confirmDragAndDrop': true,
  'search.quickOpen.includeHistory': true,
  'files.simpleDialog.enable': true,
  'security.workspace.trust.enabled': false,
  'window.title': '${activeEditorShort}${separator}${rootName}${separator}Workroom',
};

/** Light or dark as the person chose on the other pages; else as the system says. */
function appearance(): Record<string, unknown> {
  const chosen = localStorage.getItem('workroom.theme');
  if (chosen !== 'light' && chosen !== 'dark') return { 'window.autoDetectColorScheme': true };
  return { 'workbench.colorTheme': chosen === 'light' ? 'Default Light Modern' : 'Default Dark Modern' };
}

/** Starts the workbench over the project and gives the public API for the platform module. */
export async function start(open: OpenProject, settings: Promise<StoredSettings | undefined>): Promise<typeof Vscode> {
  const root = URI.from({ scheme: SCHEME, path: `/${open.project.slug}` });
  self.MonacoEnvironment = {
    getWorker: (_: string, label: string) => {
      const make = WORKERS[label] ?? WORKERS.editorWorkerService;
      if (!make) throw new Error(`no worker for ${label}`);
      return make();
    },
  };
  await createIndexedDBProviders();
  await bringSettings(await settings);
  const fileSystem = new FileSystem(open.files, root);
  registerCustomProvider(SCHEME, fileSystem);
  handOnLargeFiles(open.files, fileSystem);
  showOutputAtOnce();
  awaitCommittedTexts();
  await initialize(
    {
      ...accessibility(),
      ...banner(),
      ...configuration(),
      ...dialogs(),
      ...environment(),
      ...explorer(),
      ...extensions({ enableWorkerExtensionHost: false }),
      ...keybindings(),
      ...languages(),
      ...lifecycle(),
      ...log(),
      ...markers(),
      ...model(),
      ...multiDiff(),
      ...notifications(),
      ...outline(),
      ...output(),
      ...preferences(),
      ...quickaccess({ isKeybindingConfigurationVisible: () => true, shouldUseGlobalPicker: () => true }),
      ...scm(),
      ...search(),
      ...snippets(),
      ...statusBar(),
      ...storage({ fallbackOverride: { 'workbench.activity.showAccounts': false } }),
      ...textmate(),
      ...theme(),
      ...titleBar(),
      ...workbench(),
      ...workingCopy(),
    },
    document.body,
    {
      workspaceProvider: { trusted: true, workspace: { folderUri: root }, open: async () => false },
      configurationDefaults: { ...DEFAULTS, ...appearance() },
      enableWorkspaceTrust: false,
      productConfiguration: { nameShort: 'Workroom', nameLong: 'Workroom', extensionsGallery: undefined,
        extensionEnabledApiProposals: { 'workroom.platform': PROPOSED } },
      windowIndicator: { label: open.project.name, tooltip: open.project.slug },
    },
  );
  const { getApi } = registerExtension(
    {
      name: 'platform',
      publisher: 'workroom',
      version: '1.0.0',
      engines: { vscode: '*' },
      contributes: contributions(),
      enabledApiProposals: PROPOSED,
    },
    ExtensionHostKind.LocalProcess,
    { system: true },
  );
  keepSettings();
  showGutter();
  keepState();
  return getApi();
}
