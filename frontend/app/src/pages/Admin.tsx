import { t } from '../i18n';
import { Tabs } from '../parts/Tabs';
import { href } from '../state/router';
import { AdminAudit } from './AdminAudit';
import { AdminJobs } from './AdminJobs';
import { AdminPeople } from './AdminPeople';
import { AdminProjects } from './AdminProjects';
import { AdminUsage } from './AdminUsage';
import { NotFound } from './NotFound';

const SECTIONS = [
  ['', 'admin.people', AdminPeople],
  ['projects', 'admin.projects', AdminProjects],
  ['jobs', 'jobs.title', AdminJobs],
  ['usage', 'usage.title', AdminUsage],
  ['audit', 'audit.title', AdminAudit],
] as const;

/** The platform as those see it who look after it. */
export function Admin({ section }: { section: string }) {
  const items = SECTIONS.map(([name, text]) => ({
    name,
    text: t(text),
    href: href(name === '' ? ['admin'] : ['admin', name]),
  }));
  const Shown = SECTIONS.find(([name]) => name === section)?.[2] ?? NotFound;
  return (
    <main id="content">
      <h1>{t('app.admin')}</h1>
      <Tabs label={t('admin.sections')} items={items} current={section} />
      <Shown />
    </main>
  );
}
