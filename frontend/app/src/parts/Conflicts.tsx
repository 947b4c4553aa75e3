import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { CommitView, ConflictView, MergePreviewView } from '../api/generated';
import { t, type TextKey } from '../i18n';
import { type Decision, isText, resolutionOf } from '../state/merge';
import { conflictsOf } from '../text/conflicts';
import { ConflictEditor } from './ConflictEditor';
import { Form } from './Form';

const REASONS = [
  'content',
  'both-added',
  'deleted-by-us',
  'deleted-by-them',
  'renamed',
  'directory-file',
  'mode',
  'binary',
  'submodule',
];

function why(conflict: ConflictView): string {
  return REASONS.includes(conflict.reason) ? t(`merge.reason.${conflict.reason}` as TextKey) : conflict.reason;
}

/** Whether nothing is open in a decision. */
function settled(decision: Decision | undefined): boolean {
  return decision !== undefined && (decision.kind !== 'text' || conflictsOf(decision.text).length === 0);
}

/** Whole sides to choose from, where lines cannot be merged. */
function Choose({
  conflict,
  names,
  decision,
  onDecide,
}: {
  conflict: ConflictView;
  names: { ours: string; theirs: string };
  decision: Decision | undefined;
  onDecide: (decision: Decision) => void;
}) {
  const choices = (['ours', 'theirs'] as const).map((side) => ({
    kind: conflict[side] ? side : ('delete' as const),
    text: t(conflict[side] ? 'merge.keep' : 'merge.delete', { name: names[side] }),
  }));
  return (
    <fieldset class="choices">
      <legend class="hidden">{conflict.path}</legend>
      {choices.map(({ kind, text }) => (
        <label key={kind}>
          <input
            type="radio"
            name={`decision ${conflict.path}`}
            checked={decision?.kind === kind}
            onChange={() => onDecide({ kind })}
          />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

/** Every conflict of a merge, decided one by one, and the merge that is made of it. */
export function Conflicts({
  slug,
  into,
  from,
  preview,
  onDone,
}: {
  slug: string;
  into: string;
  from: string;
  preview: MergePreviewView;
  onDone: (commit: CommitView) => void;
}) {
  const { conflicts } = preview;
  const [decisions, setDecisions] = useState<ReadonlyMap<string, Decision>>(new Map());
  const [shown, setShown] = useState(conflicts[0]?.path);
  const names = { ours: into, theirs: from };
  const decide = (path: string, decision: Decision) => setDecisions((before) => new Map(before).set(path, decision));
  const open = conflicts.filter((conflict) => !settled(decisions.get(conflict.path)));
  const textOf = (conflict: ConflictView) => {
    const decision = decisions.get(conflict.path);
    return decision?.kind === 'text' ? decision.text : (conflict.merged ?? '');
  };
  const current = conflicts.find((conflict) => conflict.path === shown);
  return (
    <section aria-label={t('merge.conflicts')}>
      <h2>{t('merge.conflicts')}</h2>
      <p role="status">{open.length === 0 ? t('merge.allDecided') : t('merge.left', { count: open.length })}</p>
      <ul class="rows">
        {conflicts.map((conflict) => (
          <li key={conflict.path}>
            <button
              type="button"
              class="link grow"
              aria-expanded={conflict.path === shown}
              onClick={() => setShown(conflict.path)}
            >
              {conflict.path}
            </button>
            <span class="quiet">{why(conflict)}</span>
            {settled(decisions.get(conflict.path)) ? (
              <span class="state succeeded">{t('merge.decided')}</span>
            ) : (
              <span class="state failed">{t('merge.open')}</span>
            )}
          </li>
        ))}
      </ul>
      {current &&
        (isText(current) ? (
          <ConflictEditor
            key={current.path}
            slug={slug}
            conflict={current}
            preview={preview}
            names={names}
            text={textOf(current)}
            onChange={(text) => decide(current.path, { kind: 'text', text })}
          />
        ) : (
          <Choose
            conflict={current}
            names={names}
            decision={decisions.get(current.path)}
            onDecide={(decision) => decide(current.path, decision)}
          />
        ))}
      <Form
        submit={t('merge.commit', { into })}
        disabled={open.length > 0}
        action={async (values) => {
          const resolutions = conflicts.map((conflict) =>
            resolutionOf(conflict, decisions.get(conflict.path) ?? { kind: 'ours' }),
          );
          const body = { into, from, message: values.message || null, resolutions, expected_into: preview.into_commit };
          onDone((await call('create_merge', { path: { project: slug }, body })).commit);
        }}
      >
        <label>
          {t('files.commit.message')}
          <input name="message" defaultValue={`Merge ${from} into ${into}`} />
        </label>
      </Form>
    </section>
  );
}
