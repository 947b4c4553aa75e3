import { useState } from 'preact/hooks';

import { t } from '../i18n';

const SHOWN_MS = 2000;

/** A value with a button that copies it. */
export function Copy({ value, label }: { value: string; label: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(value);
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  return (
    <span class="copy">
      <code>{value}</code>
      <button type="button" aria-label={`${t('app.copy')}: ${label}`} onClick={() => void copy()}>
        {copied ? t('app.copied') : t('app.copy')}
      </button>
    </span>
  );
}
