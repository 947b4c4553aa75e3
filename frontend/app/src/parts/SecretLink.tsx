import { base } from '../api/client';
import { ago, t } from '../i18n';
import { Copy } from './Copy';

/** A link that lets someone set their password. Its secret is after `#`: no server sees it. */
export function SecretLink({
  kind,
  name,
  token,
  expires,
}: {
  kind: 'invitation' | 'password-reset';
  name: string;
  token: string;
  expires: number;
}) {
  const link = `${location.origin}${base()}/static/index.html#/${kind}/${encodeURIComponent(token)}`;
  return (
    <div class="notice" role="status">
      <p>{t(kind === 'invitation' ? 'admin.link.invitation' : 'admin.link.reset', { name })}</p>
      <Copy value={link} label={name} />
      <p>{t('admin.link.hint', { when: ago(expires) })}</p>
    </div>
  );
}
