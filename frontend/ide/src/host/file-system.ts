// The project's files as the workbench's file service wants them.

import {
  FileChangeType,
  FileSystemProviderCapabilities,
  FileSystemProviderError,
  FileSystemProviderErrorCode,
  FileType,
  type IFileChange,
  type IFileSystemProviderWithFileReadWriteCapability,
} from '@codingame/monaco-vscode-files-service-override';
import { Emitter, Event } from '@codingame/monaco-vscode-api/vscode/vs/base/common/event';
import { URI } from '@codingame/monaco-vscode-api/vscode/vs/base/common/uri';

import type { ProjectFiles } from '../platform/files/project-files';
import { FileTrouble } from '../platform/files/trouble';
import { SCHEME } from '../platform/project';

const CODES: Record<FileTrouble['reason'], FileSystemProviderErrorCode> = {
  absent: FileSystemProviderErrorCode.FileNotFound,
  exists: FileSystemProviderErrorCode.FileExists,
  'is-folder': FileSystemProviderErrorCode.FileIsADirectory,
  'not-folder': FileSystemProviderErrorCode.FileNotADirectory,
  refused: FileSystemProviderErrorCode.NoPermissions,
  away: FileSystemProviderErrorCode.Unavailable,
  'too-large': FileSystemProviderErrorCode.FileTooLarge,
};

const WHAT = { changed: FileChangeType.UPDATED, created: FileChangeType.ADDED, deleted: FileChangeType.DELETED };

async function told<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof FileTrouble)) throw error;
    throw FileSystemProviderError.create(error.message, CODES[error.reason]);
  }
}

export class FileSystem implements IFileSystemProviderWithFileReadWriteCapability {
  readonly capabilities =
    FileSystemProviderCapabilities.FileReadWrite | FileSystemProviderCapabilities.PathCaseSensitive;
  readonly onDidChangeCapabilities = Event.None;
  private readonly changes = new Emitter<readonly IFileChange[]>();
  readonly onDidChangeFile = this.changes.event;

  constructor(
    private readonly files: ProjectFiles,
    private readonly root: URI,
  ) {
    files.onChange((changes) => {
      this.changes.fire(changes.map(({ path, what }) => ({ type: WHAT[what], resource: this.uri(path) })));
    });
  }

  private uri(path: string): URI {
    return path === '' ? this.root : URI.from({ scheme: SCHEME, path: `${this.root.path}/${path}` });
  }

  /** The path in the project. */
  path(resource: URI): string {
    if (resource.path === this.root.path || resource.path === '/') return '';
    if (!resource.path.startsWith(`${this.root.path}/`)) {
      throw FileSystemProviderError.create(resource.path, FileSystemProviderErrorCode.FileNotFound);
    }
    return resource.path.slice(this.root.path.length + 1);
  }

  watch() {
    return { dispose: () => undefined };
  }

  async stat(resource: URI) {
    const stat = await told(this.files.stat(this.path(resource)));
    const type = stat.kind === 'folder' ? FileType.Directory : FileType.File;
    return { type, size: stat.size, mtime: stat.mtime, ctime: stat.mtime };
  }

  async readdir(resource: URI): Promise<[string, FileType][]> {
    const entries = await told(this.files.list(this.path(resource)));
    return entries.map(([name, kind]) => [name, kind === 'folder' ? FileType.Directory : FileType.File]);
  }

  readFile(resource: URI): Promise<Uint8Array> {
    return told(this.files.read(this.path(resource)));
  }

  writeFile(resource: URI, content: Uint8Array): Promise<void> {
    return told(this.files.write(this.path(resource), content));
  }

  async mkdir(resource: URI): Promise<void> {
    this.files.makeFolder(this.path(resource));
  }

  delete(resource: URI): Promise<void> {
    return told(this.files.remove(this.path(resource)));
  }

  rename(from: URI, to: URI): Promise<void> {
    return told(this.files.move(this.path(from), this.path(to)));
  }
}
