import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { atVersion, call } from '../api/client';
import type { StoredFileView } from '../api/generated';
import { bytes, t } from '../i18n';
import { Confirm } from '../parts/Confirm';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { Trouble } from '../parts/Trouble';
import { InterruptedRow, UploadRow } from '../parts/Uploads';
import { type Interrupted, interrupted, isSame } from '../state/interrupted';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { forget, Queue, Upload } from '../state/upload';

const UPLOADS_AT_ONCE = 2;

function Stored({ file, onDownload, onDelete }: { file: StoredFileView; onDownload: () => void; onDelete: () => void }) {
  return (
    <li>
      <button type="button" class="link grow" onClick={onDownload}>
        {file.path}
      </button>
      <span class="quiet">{file.content_type}</span>
      <code title={`${t('storage.checksum')} ${file.sha256}`}>{file.sha256.slice(0, 12)}</code>
      <span>{bytes(file.length)}</span>
      <Moment at={file.created} />
      <button type="button" aria-label={`${t('app.delete')}: ${file.path}`} onClick={onDelete}>
        {t('app.delete')}
      </button>
    </li>
  );
}

/** Asks before the page is left while something is on its way. */
function useLeaving(uploads: readonly Upload[]): void {
  const busy = uploads.some((upload) => upload.open);
  useEffect(() => {
    if (!busy) return undefined;
    const leave = (event: BeforeUnloadEvent) => event.preventDefault();
    globalThis.addEventListener('beforeunload', leave);
    return () => globalThis.removeEventListener('beforeunload', leave);
  }, [busy]);
}

export function Storage() {
  const { project } = useProject();
  const { slug } = project;
  const chooser = useRef<HTMLInputElement>(null);
  const queue = useMemo(() => new Queue(UPLOADS_AT_ONCE), []);
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [before, setBefore] = useState<Interrupted[]>(() => interrupted(slug));
  const [over, setOver] = useState(false);
  const [error, setError] = useState<unknown>();
  const [deleting, setDeleting] = useState<StoredFileView | undefined>();
  const pages = usePages((cursor) => call('list_files', { path: { project: slug }, query: page(cursor, 100) }), slug);
  useEvents(project, ['upload.completed', 'file.'], pages.reload);
  useLeaving(uploads);

  const run = (upload: Upload) => {
    upload.enqueue();
    queue.add(() => upload.run().then(pages.reload));
  };
  const start = (files: Iterable<File>) => {
    const fresh = [...files].map((file) => {
      const path = file.webkitRelativePath || file.name;
      return new Upload(slug, path, file, before.find((known) => isSame(known, path, file)));
    });
    setBefore(before.filter((known) => !fresh.some((upload) => isSame(known, upload.path, upload.file))));
    setUploads((others) => [...fresh, ...others]);
    for (const upload of fresh) run(upload);
  };
  const goOn = (known: Interrupted, file: File) => {
    if (!isSame(known, known.path, file)) {
      setError(new Error(t('storage.otherFile', { path: known.path, size: bytes(known.size) })));
      return;
    }
    setError(undefined);
    setBefore(before.filter((other) => other !== known));
    const upload = new Upload(slug, known.path, file, known);
    setUploads((others) => [upload, ...others]);
    run(upload);
  };
  const discard = (known: Interrupted) => {
    setBefore(before.filter((other) => other !== known));
    void forget(known).catch(setError);
  };
  const download = async (file: StoredFileView) => {
    const presigned = await call('get_stored_file_content', { path: { project: slug, file: file.id } });
    location.assign(presigned.url);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    start(event.dataTransfer?.files ?? []);
  };
  return (
    <div
      class={over ? 'drop over' : 'drop'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <header class="title">
        <h1>{t('storage.title')}</h1>
        <input
          ref={chooser}
          id="upload"
          type="file"
          multiple
          class="hidden"
          tabIndex={-1}
          aria-label={t('storage.upload')}
          onChange={(event) => {
            start(event.currentTarget.files ?? []);
            event.currentTarget.value = '';
          }}
        />
        <button type="button" class="primary" onClick={() => chooser.current?.click()}>
          {t('storage.upload')}
        </button>
      </header>
      <Trouble error={error} />
      {before.length + uploads.length > 0 && (
        <ul class="rows" aria-label={t('storage.uploads')}>
          {before.map((known) => (
            <InterruptedRow
              key={known.id}
              upload={known}
              onFile={(file) => goOn(known, file)}
              onDiscard={() => discard(known)}
            />
          ))}
          {uploads.map((upload, index) => (
            <UploadRow
              key={`${upload.path} ${uploads.length - index}`}
              upload={upload}
              onRun={() => run(upload)}
              onCancel={() => void upload.cancel().catch(setError)}
            />
          ))}
        </ul>
      )}
      <List
        pages={pages}
        empty={
          <Empty title={t('storage.none')}>
            <p>{t('storage.none.hint')}</p>
          </Empty>
        }
      >
        {(files) => (
          <ul class="rows">
            {files.map((file) => (
              <Stored
                key={file.id}
                file={file}
                onDownload={() => void download(file).catch(setError)}
                onDelete={() => setDeleting(file)}
              />
            ))}
          </ul>
        )}
      </List>
      {deleting && (
        <Confirm
          title={t('app.delete')}
          question={t('storage.delete.ask', { path: deleting.path })}
          onClose={() => setDeleting(undefined)}
          action={async () => {
            const at = { path: { project: slug, file: deleting.id } };
            await atVersion('get_stored_file', at, (control) => call('delete_stored_file', at, control));
            pages.reload();
          }}
        />
      )}
    </div>
  );
}
