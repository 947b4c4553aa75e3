import type { RequestView } from '../api/generated';
import { duration, t } from '../i18n';
import { invocationCost, perThousand } from '../text/cost';

/** The figures of REPORT lines as a table. */
export function Requests({ requests, label = t('logs.requests') }: { requests: readonly RequestView[]; label?: string }) {
  if (requests.length === 0) return null;
  return (
    <section>
      <h3>{label}</h3>
      <div class="scroll" tabIndex={0} role="region" aria-label={label}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t('logs.request')}</th>
              <th scope="col">{t('logs.duration')}</th>
              <th scope="col">{t('logs.billed')}</th>
              <th scope="col">{t('logs.memory')}</th>
              <th scope="col">{t('logs.cold')}</th>
              <th scope="col" title={t('logs.cost.hint')}>
                {t('logs.cost')}
              </th>
            </tr>
          </thead>
          <tbody>
            {requests.slice(-100).map((request) => (
              <tr key={request.request_id}>
                <td>
                  <code>{request.request_id.slice(0, 8)}</code> {request.status ?? ''}
                </td>
                <td>{duration(request.duration_ms)}</td>
                <td>{duration(request.billed_duration_ms)}</td>
                <td>
                  {request.max_memory_used_mb} / {request.memory_mb} MB
                </td>
                <td>{request.cold_start ? duration(request.init_duration_ms ?? 0) : ''}</td>
                <td>{perThousand(invocationCost(request.billed_duration_ms, request.memory_mb))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
