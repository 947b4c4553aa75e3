import { t } from '../i18n';
import { Members } from '../parts/Members';
import { Tabs } from '../parts/Tabs';
import { useProject } from '../state/project';
import { href } from '../state/router';
import { NotFound } from './NotFound';
import { SettingsActivity } from './SettingsActivity';
import { SettingsGeneral } from './SettingsGeneral';
import { SettingsUsage } from './SettingsUsage';

const SECTIONS = [
  ['', 'settings.general', SettingsGeneral],
  ['members', 'settings.members', Members],
  ['usage', 'usage.title', SettingsUsage],
  ['activity', 'audit.title', SettingsActivity],
] as const;

export function Settings({ section }: { section: string }) {
  const { slug } = useProject().project;
  const items = SECTIONS.map(([name, text]) => ({
    name,
    text: t(text),
    href: href(name === '' ? ['p', slug, 'settings'] : ['p', slug, 'settings', name]),
  }));
  const Shown = SECTIONS.find(([name]) => name === section)?.[2] ?? NotFound;
  return (
    <>
      <h1>{t('settings.title')}</h1>
      <Tabs label={t('settings.title')} items={items} current={section} />
      <Shown />
    </>
  );
}
