import { useEffect, useRef } from 'preact/hooks';

import type { ConflictView, MergePreviewView } from '../api/generated';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { sidesOf } from '../state/merge';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

/** One file in conflict: our side, the result that is edited, their side. */
export function ConflictEditor({
  slug,
  conflict,
  preview,
  names,
  text,
  onChange,
}: {
  slug: string;
  conflict: ConflictView;
  preview: MergePreviewView;
  names: { ours: string; theirs: string };
  /** What was written so far. */
  text: string;
  onChange: (text: string, left: number) => void;
}) {
  const boxes = { ours: useRef<HTMLDivElement>(null), result: useRef<HTMLDivElement>(null), theirs: useRef<HTMLDivElement>(null) };
  const latest = useRef(onChange);
  latest.current = onChange;
  const sides = useLoaded(() => sidesOf(slug, conflict, preview), `${slug} ${conflict.path} ${preview.into_commit} ${preview.from_commit}`);
  useEffect(() => {
    if (!sides.value) return undefined;
    let close: (() => void) | undefined;
    let gone = false;
    const { base, ours, theirs } = sides.value;
    void import('../editor/conflict').then(async ({ createConflict }) => {
      if (gone || !boxes.ours.current || !boxes.result.current || !boxes.theirs.current) return;
      close = await createConflict({
        path: conflict.path,
        base,
        ours: { parent: boxes.ours.current, text: ours, label: `${names.ours}: ${conflict.path}` },
        theirs: { parent: boxes.theirs.current, text: theirs, label: `${names.theirs}: ${conflict.path}` },
        result: { parent: boxes.result.current, text, label: `${t('merge.result')}: ${conflict.path}` },
        words: {
          ours: t('merge.take', { name: names.ours }),
          theirs: t('merge.take', { name: names.theirs }),
          both: t('merge.takeBoth'),
        },
        onChange: (changed, left) => latest.current(changed, left),
      });
      if (gone) close();
    });
    return () => {
      gone = true;
      close?.();
    };
    // What is typed stays the editor's own while it is open.
  }, [sides.value, conflict.path]);
  return (
    <>
      <Trouble error={sides.error} retry={sides.reload} />
      {sides.loading && !sides.value && <Waiting />}
      <div class="three">
        <div>
          <h3>{names.ours}</h3>
          <div class="code-editor" ref={boxes.ours} />
        </div>
        <div>
          <h3>{t('merge.result')}</h3>
          <div class="code-editor" ref={boxes.result} />
        </div>
        <div>
          <h3>{names.theirs}</h3>
          <div class="code-editor" ref={boxes.theirs} />
        </div>
      </div>
    </>
  );
}
