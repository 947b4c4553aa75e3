import { useRef, useState } from 'preact/hooks';

import { atVersion, call } from '../api/client';
import type { StoredFileView } from '../api/generated';
import { bytes, percent, t } from '../i18n';
import { Confirm } from '../parts/Confirm';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { reason } from '../parts/Trouble';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { Upload } from '../state/upload';

function said(upload: Upload): string {
  switch (upload.phase.value) {
    case 'hashing':
      return t('storage.hashing', { percent: percent(upload.part.value) });
    case 'sending':
      return t('storage.sending', { percent: percent(upload.part.value) });
    case 'completing':
      return t('storage.completing');
    case 'done':
      return t('storage.done');
    case 'cancelled':
      return t('jobs.state.cancelled');
    case 'failed':
      return t('storage.failed', { reason: reason(upload.error.value) });
  }
}

function UploadRow({ upload, onRetry }: { upload: Upload; onRetry: () => void }) {
  const phase = upload.phase.value;
  const open = phase === 'hashing' || phase === 'sending' || phase === 'completing';
  return (
    <li class={`upload ${phase}`}>
      <span class="grow">{upload.path}</span>
      {open && <progress value={upload.part.value} max={1} aria-label={upload.path} />}
      <span class="quiet" role="status">
        {said(upload)}
      </span>
      {open && (
        <button type="button" onClick={() => upload.cancel()}>
          {t('app.cancel')}
        </button>
      )}
      {(phase === 'failed' || phase === 'cancelled') && (
        <button type="button" onClick={onRetry}>
          {t('app.retry')}
        </button>
      )}
    </li>
  );
}

export function Storage() {
  const { project } = useProject();
  const { slug } = project;
  const chooser = useRef<HTMLInputElement>(null);
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [over, setOver] = useState(false);
  const [deleting, setDeleting] = useState<StoredFileView | undefined>();
  const pages = usePages((cursor) => call('list_files', { path: { project: slug }, query: page(cursor, 100) }), slug);
  useEvents(project, ['upload.completed', 'file.'], pages.reload);

  const start = (files: Iterable<File>) => {
    const fresh = [...files].map((file) => new Upload(slug, file.webkitRelativePath || file.name, file));
    setUploads((before) => [...fresh, ...before]);
    for (const upload of fresh) void upload.run().then(pages.reload);
  };
  const retry = (old: Upload) => {
    const upload = new Upload(slug, old.path, old.file);
    setUploads((before) => before.map((other) => (other === old ? upload : other)));
    void upload.run().then(pages.reload);
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
      {uploads.length > 0 && (
        <ul class="rows">
          {uploads.map((upload) => (
            <UploadRow key={`${upload.path} ${uploads.indexOf(upload)}`} upload={upload} onRetry={() => retry(upload)} />
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
              <li key={file.id}>
                <button type="button" class="link" onClick={() => void download(file)}>
                  {file.path}
                </button>
                <span class="quiet grow">{file.content_type}</span>
                <code title={`${t('storage.checksum')} ${file.sha256}`}>{file.sha256.slice(0, 12)}</code>
                <span>{bytes(file.length)}</span>
                <Moment at={file.created} />
                <button
                  type="button"
                  aria-label={`${t('app.delete')}: ${file.path}`}
                  onClick={() => setDeleting(file)}
                >
                  {t('app.delete')}
                </button>
              </li>
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
