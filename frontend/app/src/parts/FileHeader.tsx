import type { ComponentChildren } from 'preact';

import { t } from '../i18n';
import { useProject } from '../state/project';
import { go, href } from '../state/router';
import { BranchPicker } from './BranchPicker';
import { Crumbs } from './Crumbs';
import { Tabs } from './Tabs';

/** What is above every view of a file: where it lies, the branch, and the other views of it. */
export function FileHeader({
  branch,
  path,
  page,
  children,
}: {
  branch: string;
  path: string;
  page: 'file' | 'blame' | 'commits';
  children?: ComponentChildren;
}) {
  const { slug } = useProject().project;
  const at = (section: string, ref = branch) => href(['p', slug, section], { ref, path });
  const items = [
    { name: 'file', text: t('files.content'), href: at('file') },
    { name: 'commits', text: t('files.history'), href: at('commits') },
    { name: 'blame', text: t('blame.title'), href: at('blame') },
  ];
  return (
    <>
      <header class="title">
        <h1 class="hidden">{path}</h1>
        <Crumbs slug={slug} branch={branch} path={path} />
        <BranchPicker slug={slug} value={branch} onChange={(ref) => go(at(page, ref))} />
        {children}
      </header>
      <Tabs label={t('files.views')} items={items} current={page} />
    </>
  );
}
