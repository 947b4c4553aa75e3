import { t } from '../i18n';
import { Members } from '../parts/Members';
import { Tabs } from '../parts/Tabs';
import { useProject } from '../state/project';
import { href } from '../state/router';
import { NotFound } from './NotFound';
import { SettingsGeneral } from './SettingsGeneral';

const SECTIONS = [
  ['', 'settings.general', SettingsGeneral],
  ['members', 'settings.members', Members],
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
