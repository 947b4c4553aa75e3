import { Problem } from '../api/client';
import { t } from '../i18n';

/** The reason in words. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Says what went wrong and what to do. */
export function Trouble({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  if (error === undefined || error === null) return null;
  const id = error instanceof Problem ? error.requestId : undefined;
  return (
    <div class="trouble" role="alert">
      <p>{reason(error)}</p>
      {id && <p class="quiet">{t('app.requestId', { id })}</p>}
      {retry && (
        <button type="button" onClick={retry}>
          {t('app.retry')}
        </button>
      )}
    </div>
  );
}
