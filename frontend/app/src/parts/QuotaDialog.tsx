import { call } from '../api/client';
import { bytes, count, t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { tell } from '../state/notice';
import { Dialog } from './Dialog';
import { Form } from './Form';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

const GB = 1024 ** 3;

/** An empty field is the platform's default. */
function number(text: string | undefined, unit = 1): number | null {
  return text === undefined || text.trim() === '' ? null : Math.round(Number(text) * unit);
}

function said(value: number | null | undefined, unit = 1): string {
  return typeof value === 'number' ? String(value / unit) : '';
}

/** What a project may keep and run. */
export function QuotaDialog({ slug, name, onClose }: { slug: string; name: string; onClose: () => void }) {
  const path = { project: slug };
  const loaded = useLoaded(() => call('get_quota', { path }), slug);
  const quota = loaded.value;
  return (
    <Dialog title={t('quota.title', { name })} onClose={onClose}>
      <Trouble error={loaded.error} retry={loaded.reload} />
      {loaded.loading && !quota && <Waiting />}
      {quota && (
        <Form
          submit={t('app.save')}
          onCancel={onClose}
          action={async (values) => {
            const body = {
              storage_bytes: number(values.storage_bytes, GB),
              job_minutes: number(values.job_minutes),
              open_jobs: number(values.open_jobs),
            };
            await call('set_quota', { path, body });
            onClose();
            tell(t('app.saved'));
          }}
        >
          <label>
            {t('quota.storage')}
            <input name="storage_bytes" type="number" min={0} step="any" defaultValue={said(quota.set.storage_bytes, GB)} autofocus />
            <small>{t('quota.now', { value: bytes(quota.storage_bytes) })}</small>
          </label>
          <label>
            {t('quota.minutes')}
            <input name="job_minutes" type="number" min={0} defaultValue={said(quota.set.job_minutes)} />
            <small>{t('quota.now', { value: count(quota.job_minutes) })}</small>
          </label>
          <label>
            {t('quota.openJobs')}
            <input name="open_jobs" type="number" min={0} defaultValue={said(quota.set.open_jobs)} />
            <small>{t('quota.now', { value: count(quota.open_jobs) })}</small>
          </label>
          <p class="quiet">{t('quota.hint')}</p>
        </Form>
      )}
    </Dialog>
  );
}
