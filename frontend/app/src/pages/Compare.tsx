import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t } from '../i18n';
import { BranchPicker } from '../parts/BranchPicker';
import { BranchTabs } from '../parts/BranchTabs';
import { CommitList } from '../parts/CommitList';
import { Diff } from '../parts/Diff';
import { MergeBox } from '../parts/MergeBox';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { here, href, replace } from '../state/router';

export function Compare() {
  const { project } = useProject();
  const { slug } = project;
  const base = here.value.query.get('base') ?? project.default_branch;
  const head = here.value.query.get('head') ?? project.default_branch;
  // Which two are being merged: another pair is another question.
  const [asked, setAsked] = useState('');
  const pair = `${base} ${head}`;
  const merging = asked === pair;
  const compared = useLoaded(
    () => call('get_comparison', { path: { project: slug }, query: { base, head } }),
    `${slug} ${base} ${head}`,
  );
  useEvents(project, ['git.'], compared.reload);
  const choose = (next: { base: string; head: string }) => {
    replace(href(['p', slug, 'compare'], next));
  };
  const found = compared.value;
  return (
    <>
      <BranchTabs current="compare" />
      <header class="title">
        <h1>{t('compare.title')}</h1>
        <BranchPicker
          slug={slug}
          label={t('compare.base')}
          value={base}
          onChange={(chosen) => choose({ base: chosen, head })}
        />
        <button type="button" aria-label={t('compare.swap')} onClick={() => choose({ base: head, head: base })}>
          ⇄
        </button>
        <BranchPicker
          slug={slug}
          label={t('compare.head')}
          value={head}
          onChange={(chosen) => choose({ base, head: chosen })}
        />
        {found && found.ahead > 0 && !merging && (
          <button type="button" class="primary" onClick={() => setAsked(pair)}>
            {t('merge.into', { into: base })}
          </button>
        )}
      </header>
      <Trouble error={compared.error} retry={compared.reload} />
      {compared.loading && !found && <Waiting />}
      {found && (
        <>
          {base !== head && (
            <p role="status">{t('compare.distance', { head, base, ahead: found.ahead, behind: found.behind })}</p>
          )}
          {merging && <MergeBox key={`${base} ${head}`} into={base} from={head} />}
          {found.commits.length > 0 && (
            <section>
              <h2>{t('commits.title')}</h2>
              <CommitList slug={slug} commits={found.commits} />
            </section>
          )}
          <Diff diff={found} />
        </>
      )}
    </>
  );
}
