import { useState } from 'preact/hooks';

import type { AuditView } from '../api/generated';
import { moment, t } from '../i18n';
import { usePages } from '../state/loaded';
import type { PageOf } from '../state/paging';
import { Empty } from './Empty';
import { List } from './List';
import { ProjectLink } from './ProjectLink';
import { SearchField } from './SearchField';

/** What the audit trail is asked for. */
export interface AuditQuery {
  actor?: string;
  type?: string;
  project?: string;
}

function Detail({ entry }: { entry: AuditView }) {
  const text = JSON.stringify(entry.detail, null, 2);
  return (
    <details>
      <summary>{t('audit.detail')}</summary>
      <pre tabIndex={0}>{text}</pre>
      <p class="quiet">{t('app.requestId', { id: entry.request_id })}</p>
    </details>
  );
}

/** Who did what and when, newest first. */
export function AuditList({
  read,
  name,
  byProject = false,
}: {
  read: (query: AuditQuery, cursor: string | undefined) => Promise<PageOf<AuditView>>;
  /** Of what: another one is read anew. */
  name: string;
  byProject?: boolean;
}) {
  const [query, setQuery] = useState<AuditQuery>({});
  const pages = usePages((cursor) => read(query, cursor), `${name} ${JSON.stringify(query)}`);
  const filtered = Object.values(query).some((value) => value !== '');
  const field = (what: keyof AuditQuery, label: string) => (
    <SearchField label={label} value={query[what] ?? ''} onSearch={(text) => setQuery({ ...query, [what]: text.trim() })} />
  );
  return (
    <>
      <div class="filters">
        {field('type', t('audit.type'))}
        {field('actor', t('audit.actor'))}
        {byProject && field('project', t('audit.project'))}
      </div>
      <List pages={pages} empty={<Empty title={t(filtered ? 'audit.noMatch' : 'audit.none')} />}>
        {(entries) => (
          <div class="sheet" tabIndex={0} role="region" aria-label={t('audit.title')}>
            <table>
              <thead>
                <tr>
                  <th>{t('audit.time')}</th>
                  <th>{t('audit.who')}</th>
                  <th>{t('audit.what')}</th>
                  {byProject && <th>{t('admin.jobs.project')}</th>}
                  <th>{t('audit.resource')}</th>
                  <th>{t('audit.more')}</th>
                </tr>
              </thead>
              <tbody>
                {entries.map((entry) => (
                  <tr key={entry.id}>
                    <td>
                      <time dateTime={new Date(entry.time).toISOString()}>{moment(entry.time)}</time>
                    </td>
                    <td title={entry.actor}>{entry.actor_name || entry.actor}</td>
                    <td>
                      <code>{entry.type}</code>
                    </td>
                    {byProject && <td>{entry.project && <ProjectLink id={entry.project} />}</td>}
                    <td class="wide">{entry.resource}</td>
                    <td class="wide">
                      <Detail entry={entry} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </List>
    </>
  );
}
