import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { bytes, count, duration, t } from '../i18n';
import { MonthPicker } from '../parts/MonthPicker';
import { Trouble } from '../parts/Trouble';
import { QuotaMeters } from '../parts/Usage';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { monthOf } from '../state/month';
import { useProject } from '../state/project';

/** What the project keeps and what its jobs took. */
export function SettingsUsage() {
  const { slug } = useProject().project;
  const [month, setMonth] = useState(monthOf(Date.now()));
  const loaded = useLoaded(
    () => call('get_usage', { path: { project: slug }, query: { month } }),
    `${slug} ${month}`,
  );
  const usage = loaded.value;
  const facts = usage
    ? ([
        ['usage.repository', bytes(usage.repository_bytes)],
        ['usage.files', bytes(usage.files_bytes)],
        ['usage.artifacts', bytes(usage.artifacts_bytes)],
        ['usage.jobs', count(usage.jobs)],
        ['usage.jobTime', duration(usage.job_ms)],
        ['settings.members', count(usage.members)],
      ] as const)
    : [];
  return (
    <section>
      <header class="title">
        <h2 class="hidden">{t('usage.title')}</h2>
        <MonthPicker value={month} onChange={setMonth} />
      </header>
      <Trouble error={loaded.error} retry={loaded.reload} />
      {loaded.loading && !usage && <Waiting />}
      {usage && (
        <div class="card">
          {usage.quota && <QuotaMeters usage={usage} quota={usage.quota} />}
          <dl class="facts">
            {facts.map(([key, value]) => (
              <>
                <dt>{t(key)}</dt>
                <dd>{value}</dd>
              </>
            ))}
            {usage.quota && (
              <>
                <dt>{t('quota.openJobs')}</dt>
                <dd>{count(usage.quota.open_jobs)}</dd>
              </>
            )}
          </dl>
          <p class="quiet">{t('usage.hint')}</p>
        </div>
      )}
    </section>
  );
}
