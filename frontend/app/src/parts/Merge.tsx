import type { MergeView } from '@codemirror/merge';
import { useEffect, useRef } from 'preact/hooks';

import { t } from '../i18n';
import { Dialog } from './Dialog';

/** A draft that was changed in two places: both side by side, and a clear choice. */
export function Merge({
  path,
  stored,
  mine,
  onMine,
  onStored,
}: {
  path: string;
  stored: string;
  mine: string;
  onMine: (text: string) => void;
  onStored: () => void;
}) {
  const element = useRef<HTMLDivElement>(null);
  const view = useRef<MergeView | undefined>(undefined);
  useEffect(() => {
    let gone = false;
    void import('../editor/merge').then(async ({ createMerge }) => {
      if (gone || !element.current) return;
      const labels = { stored: t('files.conflict.theirs'), mine: t('files.conflict.mine') };
      view.current = await createMerge(
        element.current,
        path,
        { text: stored, label: labels.stored },
        { text: mine, label: labels.mine },
      );
    });
    return () => {
      gone = true;
      view.current?.destroy();
    };
  }, [path, stored]);
  return (
    <Dialog title={t('files.conflict')} wide>
      <p>{t('files.conflict.hint')}</p>
      <div class="merge" ref={element} />
      <div class="actions">
        <button type="button" class="primary" onClick={() => onMine(view.current?.b.state.doc.toString() ?? mine)}>
          {t('files.conflict.mine')}
        </button>
        <button type="button" onClick={onStored}>
          {t('files.conflict.theirs')}
        </button>
      </div>
    </Dialog>
  );
}
