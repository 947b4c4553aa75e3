import type { UnsupportedView } from '../api/generated';
import { t } from '../i18n';

/** What of the template is not honoured, and why. */
export function Unsupported({ items }: { items: readonly UnsupportedView[] }) {
  if (items.length === 0) return null;
  return (
    <section>
      <h2>{t('jobs.unsupported')}</h2>
      <ul>
        {items.map((item) => (
          <li key={`${item.resource} ${item.property ?? ''}`}>
            <code>
              {item.resource}
              {item.property ? `.${item.property}` : ''}
            </code>{' '}
            <span class="quiet">{item.type}</span> {item.reason}
          </li>
        ))}
      </ul>
    </section>
  );
}
