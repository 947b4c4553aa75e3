import { call } from '../api/client';
import { t } from '../i18n';
import { BranchPicker } from '../parts/BranchPicker';
import { Diff } from '../parts/Diff';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useProject } from '../state/project';
import { here, href, replace } from '../state/router';

export function Compare() {
  const { project } = useProject();
  const { slug } = project;
  const base = here.value.query.get('base') ?? project.default_branch;
  const head = here.value.query.get('head') ?? project.default_branch;
  const diff = useLoaded(
    () => call('get_diff', { path: { project: slug }, query: { base, head } }),
    `${slug} ${base} ${head}`,
  );
  const choose = (next: { base: string; head: string }) => replace(href(['p', slug, 'compare'], next));
  return (
    <>
      <header class="title">
        <h1>{t('compare.title')}</h1>
        <BranchPicker
          slug={slug}
          label={t('compare.base')}
          value={base}
          onChange={(chosen) => choose({ base: chosen, head })}
        />
        <BranchPicker
          slug={slug}
          label={t('compare.head')}
          value={head}
          onChange={(chosen) => choose({ base, head: chosen })}
        />
      </header>
      <Trouble error={diff.error} retry={diff.reload} />
      {diff.loading && !diff.value && <Waiting />}
      {diff.value && <Diff diff={diff.value} />}
    </>
  );
}
