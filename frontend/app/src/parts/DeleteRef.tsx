import { t } from '../i18n';
import { tell } from '../state/notice';
import { Confirm } from './Confirm';

/** Asks before a branch or a tag is deleted, and offers to take it back. */
export function DeleteRef({
  question,
  deleted,
  remove,
  restore,
  onChange,
  onClose,
}: {
  question: string;
  /** What is said afterwards. */
  deleted: string;
  remove: () => Promise<unknown>;
  restore: () => Promise<unknown>;
  onChange: () => void;
  onClose: () => void;
}) {
  const action = async () => {
    await remove();
    onChange();
    tell(deleted, async () => {
      await restore();
      onChange();
    });
  };
  return <Confirm title={t('app.delete')} question={question} onClose={onClose} action={action} />;
}
