import { t } from '../i18n';
import { useProject } from '../state/project';
import { href } from '../state/router';
import { Tabs } from './Tabs';

/** Branches, tags and what lies between them. */
export function BranchTabs({ current }: { current: 'branches' | 'tags' | 'compare' }) {
  const { slug } = useProject().project;
  const items = [
    { name: 'branches', text: t('branches.title'), href: href(['p', slug, 'branches']) },
    { name: 'tags', text: t('project.tags'), href: href(['p', slug, 'tags']) },
    { name: 'compare', text: t('compare.title'), href: href(['p', slug, 'compare']) },
  ];
  return <Tabs label={t('branches.title')} items={items} current={current} />;
}
