// Files that are chosen or dropped: the workbench reads one wholly into memory to write it, and opens it then. What is too
// large for a draft is handed on unread instead, to be streamed to the files area.

import { BrowserFileUpload } from '@codingame/monaco-vscode-api/vscode/vs/workbench/contrib/files/browser/fileImportExport';

import { DRAFT_BYTES_MAX, type ProjectFiles } from '../platform/files/project-files';
import type { FileSystem } from './file-system';

type Entry = Pick<FileSystemFileEntry, 'name' | 'isFile' | 'file'>;
type Folder = Parameters<FileSystem['stat']>[0];

/** The part of the workbench's class that takes one entry; the rest of its arguments are its own. */
interface EntryUpload {
  doUploadEntry(entry: Entry, folder: Folder, ...others: unknown[]): Promise<unknown>;
}

const fileOf = (entry: Entry) => new Promise<File>((resolve, reject) => entry.file(resolve, reject));

export function handOnLargeFiles(files: ProjectFiles, fileSystem: FileSystem): void {
  const workbench = BrowserFileUpload.prototype as unknown as EntryUpload;
  const whole = workbench.doUploadEntry;
  workbench.doUploadEntry = async function (entry, folder, ...others) {
    const file = entry.isFile ? await fileOf(entry) : undefined;
    if (!file || file.size <= DRAFT_BYTES_MAX) return whole.call(this, entry, folder, ...others);
    files.onTooLarge(fileSystem.path(folder.with({ path: `${folder.path}/${entry.name}` })), file);
    return undefined;
  };
}
