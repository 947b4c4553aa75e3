import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { CommitView, DraftView } from '../api/generated';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { all, page } from '../state/paging';
import { Dialog } from './Dialog';
import { Form } from './Form';
import { Trouble } from './Trouble';

/** Where the branch points; `null` when there is none yet. */
async function headOf(slug: string, branch: string): Promise<string | null> {
  const branches = await all((cursor) =>
    call('list_branches', { path: { project: slug }, query: page(cursor, 200) }),
  );
  return branches.find((found) => found.name === branch)?.commit ?? null;
}

/** Commits a chosen set of drafts. */
export function CommitDialog({
  slug,
  branch,
  drafts,
  onDone,
  onClose,
}: {
  slug: string;
  branch: string;
  drafts: readonly DraftView[];
  onDone: (commit: CommitView) => void;
  onClose: () => void;
}) {
  // The commit that the person sees is the one that the new one is made on.
  const head = useLoaded(() => headOf(slug, branch), `${slug} ${branch}`);
  const [left, setLeft] = useState<readonly string[]>([]);
  const chosen = drafts.map((draft) => draft.path).filter((path) => !left.includes(path));
  const toggle = (path: string) =>
    setLeft(left.includes(path) ? left.filter((other) => other !== path) : [...left, path]);
  return (
    <Dialog title={t('files.commit.title', { branch })} onClose={onClose}>
      <Form
        submit={t('files.commit.submit', { count: chosen.length })}
        disabled={chosen.length === 0 || head.value === undefined}
        onCancel={onClose}
        action={async (values) => {
          const body = { branch, expected_head: head.value ?? null, message: values.message ?? '', drafts: chosen };
          onDone(await call('create_commit', { path: { project: slug }, body }));
        }}
      >
        <label>
          {t('files.commit.message')}
          <textarea name="message" rows={3} required autofocus />
        </label>
        <fieldset>
          <legend>{t('files.commit.files')}</legend>
          {drafts.map((draft) => (
            <label key={draft.path} class="check">
              <input type="checkbox" checked={!left.includes(draft.path)} onChange={() => toggle(draft.path)} />
              <code>{draft.path}</code>
              {draft.deleted && <span class="badge">{t('files.deleted')}</span>}
            </label>
          ))}
        </fieldset>
        <Trouble error={head.error} retry={head.reload} />
      </Form>
    </Dialog>
  );
}
