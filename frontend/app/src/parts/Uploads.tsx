import { useRef } from 'preact/hooks';

import { bytes, percent, t } from '../i18n';
import type { Interrupted } from '../state/interrupted';
import type { Upload } from '../state/upload';
import { reason } from './Trouble';

function said(upload: Upload): string {
  switch (upload.phase.value) {
    case 'queued':
      return t('jobs.state.queued');
    case 'hashing':
      return t('storage.hashing', { percent: percent(upload.part.value) });
    case 'sending':
      return t('storage.sending', { percent: percent(upload.part.value) });
    case 'paused':
      return t('storage.paused', { percent: percent(upload.part.value) });
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

/** One upload of this page: how far it is, and what can be done with it. */
export function UploadRow({ upload, onRun, onCancel }: { upload: Upload; onRun: () => void; onCancel: () => void }) {
  const phase = upload.phase.value;
  const again = { paused: 'storage.resume', failed: 'app.retry', cancelled: 'app.retry' } as const;
  const label = phase in again ? t(again[phase as keyof typeof again]) : undefined;
  return (
    <li class={`upload ${phase}`}>
      <span class="grow">{upload.path}</span>
      <span class="quiet">{bytes(upload.file.size)}</span>
      {(upload.open || phase === 'paused') && <progress value={upload.part.value} max={1} aria-label={upload.path} />}
      {/* Each percent would be too much to hear: the words change with the phase. */}
      <span class="hidden" role="status">
        {phase === 'sending' || phase === 'hashing' ? t('storage.announce', { path: upload.path }) : `${upload.path}: ${said(upload)}`}
      </span>
      <span class={phase === 'failed' ? 'state failed' : 'quiet'} aria-hidden="true">
        {said(upload)}
      </span>
      {phase === 'sending' && (
        <button type="button" aria-label={`${t('storage.pause')}: ${upload.path}`} onClick={() => upload.pause()}>
          {t('storage.pause')}
        </button>
      )}
      {label && (
        <button type="button" aria-label={`${label}: ${upload.path}`} onClick={onRun}>
          {label}
        </button>
      )}
      {phase !== 'done' && phase !== 'cancelled' && (
        <button type="button" aria-label={`${t('app.cancel')}: ${upload.path}`} onClick={onCancel}>
          {t('app.cancel')}
        </button>
      )}
    </li>
  );
}

/** An upload that an earlier page did not end: it goes on with the same file. */
export function InterruptedRow({
  upload,
  onFile,
  onDiscard,
}: {
  upload: Interrupted;
  onFile: (file: File) => void;
  onDiscard: () => void;
}) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <li class="upload interrupted">
      <span class="grow">
        {upload.path}
        <br />
        <span class="quiet">{t('storage.interrupted')}</span>
      </span>
      <span class="quiet">{bytes(upload.size)}</span>
      <progress value={upload.sent} max={upload.size} aria-label={upload.path} />
      <span class="quiet">{percent(upload.size === 0 ? 1 : upload.sent / upload.size)}</span>
      <input
        ref={chooser}
        type="file"
        class="hidden"
        tabIndex={-1}
        aria-label={`${t('storage.choose')}: ${upload.path}`}
        onChange={(event) => {
          const [file] = event.currentTarget.files ?? [];
          if (file) onFile(file);
        }}
      />
      <button type="button" class="primary" onClick={() => chooser.current?.click()}>
        {t('storage.choose')}
      </button>
      <button type="button" aria-label={`${t('app.cancel')}: ${upload.path}`} onClick={onDiscard}>
        {t('app.cancel')}
      </button>
    </li>
  );
}
