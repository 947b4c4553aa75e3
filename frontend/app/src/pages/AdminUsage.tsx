import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { UsageView } from '../api/generated';
import { bytes, count, duration, t } from '../i18n';
import { Empty } from '../parts/Empty';
import { List } from '../parts/List';
import { MonthPicker } from '../parts/MonthPicker';
import { QuotaDialog } from '../parts/QuotaDialog';
import { stored } from '../parts/Usage';
import { usePages } from '../state/loaded';
import { monthOf } from '../state/month';
import { page } from '../state/paging';
import { href } from '../state/router';

function Row({ usage, most, onQuota }: { usage: UsageView; most: number; onQuota: () => void }) {
  return (
    <tr>
      <td>
        <a href={href(['p', usage.slug])}>{usage.name}</a>
      </td>
      <td>
        <meter value={stored(usage)} max={Math.max(most, 1)} aria-label={`${t('usage.storage')}: ${usage.name}`} />
      </td>
      <td class="number">{bytes(stored(usage))}</td>
      <td class="number">{bytes(usage.repository_bytes)}</td>
      <td class="number">{bytes(usage.files_bytes)}</td>
      <td class="number">{bytes(usage.artifacts_bytes)}</td>
      <td class="number">{count(usage.jobs)}</td>
      <td class="number">{duration(usage.job_ms)}</td>
      <td class="number">{count(usage.members)}</td>
      <td>
        <button type="button" aria-label={t('quota.title', { name: usage.name })} onClick={onQuota}>
          {t('quota.change')}
        </button>
      </td>
    </tr>
  );
}

const COLUMNS = [
  'usage.storage',
  'usage.repository',
  'usage.files',
  'usage.artifacts',
  'usage.jobs',
  'usage.jobTime',
  'settings.members',
] as const;

/** Storage and job minutes by project, month by month. */
export function AdminUsage() {
  const [month, setMonth] = useState(monthOf(Date.now()));
  const [changing, setChanging] = useState<UsageView | undefined>();
  const pages = usePages((cursor) => call('list_usage', { query: { month, ...page(cursor, 50) } }), `usage ${month}`);
  return (
    <>
      <header class="title">
        <h2 class="hidden">{t('usage.title')}</h2>
        <MonthPicker value={month} onChange={setMonth} />
      </header>
      <p class="quiet">{t('usage.hint')}</p>
      <List pages={pages} empty={<Empty title={t('usage.none')} />}>
        {(items) => (
          <div class="sheet" tabIndex={0} role="region" aria-label={t('usage.title')}>
            <table>
              <thead>
                <tr>
                  <th>{t('audit.resource.project')}</th>
                  <th>{t('usage.share')}</th>
                  {COLUMNS.map((key) => (
                    <th key={key} class="number">
                      {t(key)}
                    </th>
                  ))}
                  <th>{t('admin.actions')}</th>
                </tr>
              </thead>
              <tbody>
                {items.map((usage) => (
                  <Row
                    key={usage.project}
                    usage={usage}
                    most={Math.max(...items.map(stored))}
                    onQuota={() => setChanging(usage)}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </List>
      {changing && <QuotaDialog slug={changing.slug} name={changing.name} onClose={() => setChanging(undefined)} />}
    </>
  );
}
