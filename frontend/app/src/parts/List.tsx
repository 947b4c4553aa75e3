import type { ComponentChildren } from 'preact';

import { t } from '../i18n';
import type { Pages } from '../state/loaded';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

/** A paged list with its waiting, failed and empty states. */
export function List<T>({
  pages,
  empty,
  children,
}: {
  pages: Pages<T>;
  empty: ComponentChildren;
  children: (items: T[]) => ComponentChildren;
}) {
  return (
    <>
      {pages.first && pages.loading && <Waiting />}
      {!pages.first && pages.items.length === 0 && !pages.error && !pages.more && empty}
      {pages.items.length > 0 && children(pages.items)}
      <Trouble error={pages.error} retry={pages.reload} />
      {pages.more && (
        <button type="button" class="more" disabled={pages.loading} onClick={pages.more}>
          {t('app.more')}
        </button>
      )}
    </>
  );
}
