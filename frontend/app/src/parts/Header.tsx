import { t } from '../i18n';
import { here, href } from '../state/router';
import { account, signOut } from '../state/session';
import { connection } from '../state/socket';

/** Brings the focus to the page. The address keeps its place: what is after `#` is the page. */
export function toContent(event?: MouseEvent): void {
  event?.preventDefault();
  const content = document.getElementById('content');
  content?.setAttribute('tabindex', '-1');
  content?.focus({ preventScroll: true });
}

/** What is above every page. */
export function Header() {
  const current = (place: string | undefined) => (here.value.segments[0] === place ? 'page' : undefined);
  return (
    <header class="top">
      <a class="skip" href="#content" onClick={toContent}>
        {t('app.skip')}
      </a>
      <a class="name" href={href([])}>
        {t('app.name')}
      </a>
      <nav aria-label={t('app.menu')}>
        <span class={`live ${connection.value}`} role="status">
          {connection.value === 'open' ? t('app.live') : connection.value === 'idle' ? '' : t('app.reconnecting')}
        </span>
        <a href={href([])} aria-current={current(undefined)}>
          {t('app.projects')}
        </a>
        {account.value?.admin && (
          <a href={href(['admin'])} aria-current={current('admin')}>
            {t('app.admin')}
          </a>
        )}
        <a href={href(['account'])} title={t('app.account')} aria-current={current('account')}>
          {account.value?.name || account.value?.email}
        </a>
        <button type="button" class="quiet" onClick={() => void signOut()}>
          {t('app.signOut')}
        </button>
      </nav>
    </header>
  );
}
