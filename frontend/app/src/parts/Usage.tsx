import type { QuotaView, UsageView } from '../api/generated';
import { bytes, count, t } from '../i18n';

const MINUTE_MS = 60_000;

/** Bytes that a project keeps. */
export function stored(usage: UsageView): number {
  return usage.repository_bytes + usage.files_bytes + usage.artifacts_bytes;
}

export function minutes(usage: UsageView): number {
  return Math.ceil(usage.job_ms / MINUTE_MS);
}

function Part({ label, used, limit, text }: { label: string; used: number; limit: number; text: (value: number) => string }) {
  return (
    <div>
      <p>
        {label}: <b>{text(used)}</b> <span class="quiet">{t('usage.of', { limit: text(limit) })}</span>
      </p>
      <meter value={used} max={Math.max(limit, used, 1)} high={limit * 0.9} aria-label={label} />
    </div>
  );
}

/** How much of its quota a project has used. */
export function QuotaMeters({ usage, quota }: { usage: UsageView; quota: QuotaView }) {
  return (
    <div class="meters">
      <Part label={t('usage.storage')} used={stored(usage)} limit={quota.storage_bytes} text={bytes} />
      <Part label={t('usage.minutes')} used={minutes(usage)} limit={quota.job_minutes} text={count} />
    </div>
  );
}
