import { t } from '../i18n';
import { dismiss, notice, pause, resume, tell } from '../state/notice';
import { reason } from './Trouble';

/** The place where `tell` is heard. */
export function Notices() {
  const shown = notice.value;
  const undo = async () => {
    const back = shown?.undo;
    dismiss();
    try {
      await back?.();
      tell(t('app.undone'));
    } catch (error) {
      tell(t('app.undo.failed', { reason: reason(error) }));
    }
  };
  return (
    <div class="notices" onMouseEnter={pause} onMouseLeave={resume} onFocusIn={pause} onFocusOut={resume}>
      <p role="status">{shown?.text}</p>
      {shown?.undo && (
        <button type="button" onClick={() => void undo()}>
          {t('app.undo')}
        </button>
      )}
      {shown && (
        <button type="button" aria-label={t('app.close')} onClick={dismiss}>
          ✕
        </button>
      )}
    </div>
  );
}
