import { t } from '../i18n';

export function Waiting() {
  return (
    <p class="waiting" role="status">
      {t('app.loading')}
    </p>
  );
}
