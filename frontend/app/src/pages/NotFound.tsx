import { t } from '../i18n';
import { href } from '../state/router';

export function NotFound() {
  return (
    <div class="empty">
      <h1>{t('app.notFound')}</h1>
      <p>{t('app.notFound.hint')}</p>
      <p>
        <a href={href([])}>{t('app.projects')}</a>
      </p>
    </div>
  );
}
