import { Problem } from '../api/client';
import { t, type TextKey } from '../i18n';

/** The reason in words. */
export function reason(error: unknown): string {
  // What `fetch` throws when there is no answer; its own words are each browser's and say little.
  if (error instanceof TypeError) return t('app.unreachable');
  return error instanceof Error ? error.message : String(error);
}

/** What to do about a refusal, where its code says it. */
const ADVICE: Partial<Record<string, TextKey>> = {
  forbidden: 'advice.forbidden',
  'not-found': 'advice.notFound',
  'precondition-failed': 'advice.changed',
  'quota-exceeded': 'advice.quota',
  'rate-limited': 'advice.slower',
  unavailable: 'advice.later',
  timeout: 'advice.later',
  internal: 'advice.internal',
};

/** Says what went wrong and what to do. */
export function Trouble({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  if (error === undefined || error === null) return null;
  const advice = error instanceof Problem ? ADVICE[error.code] : undefined;
  const id = error instanceof Problem ? error.requestId : undefined;
  return (
    <div class="trouble" role="alert">
      <p>{reason(error)}</p>
      {advice && <p>{t(advice)}</p>}
      {id && <p class="quiet">{t('app.requestId', { id })}</p>}
      {retry && (
        <button type="button" onClick={retry}>
          {t('app.retry')}
        </button>
      )}
    </div>
  );
}
