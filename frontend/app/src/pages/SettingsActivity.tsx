import { call } from '../api/client';
import { t } from '../i18n';
import { AuditList } from '../parts/AuditList';
import { page } from '../state/paging';
import { useProject } from '../state/project';

/** The audit trail of the project. */
export function SettingsActivity() {
  const { slug } = useProject().project;
  return (
    <section>
      <h2 class="hidden">{t('audit.title')}</h2>
      <AuditList
        name={slug}
        read={(query, cursor) =>
          call('list_project_audit', { path: { project: slug }, query: { ...query, ...page(cursor, 50) } })
        }
      />
    </section>
  );
}
