import { useEffect, useRef, useState } from 'preact/hooks';

import { call } from '../api/client';
import type { DraftView } from '../api/generated';
import { ago, t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { useEvents, useProject } from '../state/project';
import { account } from '../state/session';
import { textOf } from '../text/content';
import { Dialog } from './Dialog';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

/** A colleague's draft beside what is in the editor here. */
function Difference({ draft, mine, onClose }: { draft: DraftView; mine: string; onClose: () => void }) {
  const { slug } = useProject().project;
  const { branch, path, account: owner, name } = draft;
  const element = useRef<HTMLDivElement>(null);
  const theirs = useLoaded(async () => {
    const bytes = await call('get_draft', { path: { project: slug }, query: { branch, path, account: owner } });
    return textOf(bytes as ArrayBuffer) ?? '';
  }, `${slug} ${branch} ${path} ${owner}`);
  useEffect(() => {
    if (theirs.value === undefined) return undefined;
    let close: (() => void) | undefined;
    let gone = false;
    const left = { text: theirs.value, label: t('colleagues.theirs', { name }) };
    void import('../editor/merge').then(async ({ createComparison }) => {
      if (gone || !element.current) return;
      const view = await createComparison(element.current, path, left, { text: mine, label: t('colleagues.mine') });
      close = () => view.destroy();
      if (gone) close();
    });
    return () => {
      gone = true;
      close?.();
    };
  }, [theirs.value]);
  return (
    <Dialog title={t('colleagues.theirs', { name })} onClose={onClose} wide>
      <p>{t('colleagues.sides', { name })}</p>
      <Trouble error={theirs.error} retry={theirs.reload} />
      {theirs.loading && theirs.value === undefined && <Waiting />}
      <div class="merge" ref={element} />
      <div class="actions">
        <button type="button" autofocus onClick={onClose}>
          {t('app.close')}
        </button>
      </div>
    </Dialog>
  );
}

/** A warning when others have drafts of the same file. */
export function Colleagues({ branch, path, mine }: { branch: string; path: string; mine: () => string }) {
  const { project } = useProject();
  const [shown, setShown] = useState<DraftView | undefined>();
  const drafts = useLoaded(
    () =>
      call('list_drafts', { path: { project: project.slug }, query: { branch, path, everyone: true, limit: 20 } })
        // Who may only read does not see drafts of others.
        .catch(() => ({ items: [] })),
    `${project.slug} ${branch} ${path}`,
  );
  useEvents(project, ['draft.'], drafts.reload);
  const others = (drafts.value?.items ?? []).filter((draft) => draft.account !== account.value?.id);
  if (others.length === 0) return null;
  return (
    <div class="notice" role="status">
      {others.map((draft) => (
        <p key={draft.account}>
          {t('colleagues.has', { name: draft.name, when: ago(draft.updated) })}{' '}
          <button type="button" class="link" onClick={() => setShown(draft)}>
            {t('colleagues.show')}
          </button>
        </p>
      ))}
      {shown && <Difference draft={shown} mine={mine()} onClose={() => setShown(undefined)} />}
    </div>
  );
}
