import { call } from '../api/client';
import { t } from '../i18n';
import { AuditList } from '../parts/AuditList';
import { page } from '../state/paging';

/** The audit trail of the platform. */
export function AdminAudit() {
  return (
    <>
      <h2 class="hidden">{t('audit.title')}</h2>
      <AuditList
        name="platform"
        byProject
        read={(query, cursor) => call('list_audit', { query: { ...query, ...page(cursor, 50) } })}
      />
    </>
  );
}
