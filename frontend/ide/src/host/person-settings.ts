// Settings, keybindings and theme follow the person: read before the workbench starts, stored when they change.

import {
  getUserConfiguration,
  initUserConfiguration,
  onUserConfigurationChange,
} from '@codingame/monaco-vscode-configuration-service-override';
import { defaultUserKeybindindsFile, initUserKeybindings } from '@codingame/monaco-vscode-keybindings-service-override';
import { IFileService } from '@codingame/monaco-vscode-api/vscode/vs/platform/files/common/files.service';
import { StandaloneServices } from '@codingame/monaco-vscode-api/vscode/vs/editor/standalone/browser/standaloneServices';
import { VSBuffer } from '@codingame/monaco-vscode-api/vscode/vs/base/common/buffer';

import { callVersioned, Problem, type Versioned } from '../../../app/src/api/client';
import type { SettingsView } from '../../../app/src/api/generated';

const PAUSE_MS = 800;
/** The platform keeps 64 KiB for a person; other pages have their part. */
const IDE_BYTES_MAX = 48 * 1024;

interface IdeSettings {
  settings: string;
  keybindings: string;
}

type All = Record<string, unknown>;

/** As the platform has them. */
export type StoredSettings = Versioned<SettingsView>;

let known: { all: All; etag: string } | undefined;

const allOf = ({ value, etag }: StoredSettings) => ({ all: value.settings as All, etag });

function ideOf(all: All): IdeSettings {
  const ide = (all.ide ?? {}) as Partial<IdeSettings>;
  return { settings: ide.settings ?? '{}', keybindings: ide.keybindings ?? '[]' };
}

/** Before the workbench starts. Without stored ones it starts with what this browser has. */
export async function bringSettings(stored: StoredSettings | undefined): Promise<void> {
  if (!stored) return;
  known = allOf(stored);
  const { settings, keybindings } = ideOf(known.all);
  await Promise.all([
    initUserConfiguration(settings, { overwrite: true }),
    initUserKeybindings(keybindings, { overwrite: true }),
  ]);
}

/** Keeps what the person changes from now on. */
export function keepSettings(): void {
  const files = StandaloneServices.get(IFileService);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void store().catch(() => undefined), PAUSE_MS);
  };
  const read = async (): Promise<IdeSettings> => ({
    settings: await getUserConfiguration(),
    keybindings: await files.readFile(defaultUserKeybindindsFile).then(
      ({ value }: { value: VSBuffer }) => value.toString(),
      () => '[]',
    ),
  });
  const store = async (): Promise<void> => {
    const ide = await read();
    if (known && same(ideOf(known.all), ide)) return;
    if (JSON.stringify(ide).length > IDE_BYTES_MAX) return;
    await put(ide);
  };
  onUserConfigurationChange(later);
  files.onDidFilesChange((event) => {
    if (event.contains(defaultUserKeybindindsFile)) later();
  });
}

const same = (one: IdeSettings, other: IdeSettings) =>
  one.settings === other.settings && one.keybindings === other.keybindings;

/** On top of the version that is stored; when another page stored one, on top of that. */
async function put(ide: IdeSettings): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    known ??= allOf(await callVersioned('get_settings', {}));
    const settings = { ...known.all, ide };
    try {
      const { etag } = await callVersioned('set_settings', { body: { settings } }, { ifMatch: known.etag });
      known = { all: settings, etag };
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 412) throw error;
      known = undefined;
    }
  }
}
