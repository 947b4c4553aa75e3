import { useEffect, useState } from 'preact/hooks';

import { t } from '../i18n';
import { keys } from '../state/keys';
import { go, here, href } from '../state/router';
import { Dialog } from './Dialog';

/** Whether a key means what it writes. */
function writing(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
}

function search(): void {
  const field = document.querySelector<HTMLInputElement>('main input[type=search]');
  const [first, slug] = here.value.segments;
  if (field) field.focus();
  else if (first === 'p' && slug) go(href(['p', slug, 'search']));
}

const LIST = [
  ['/', 'app.keys.search'],
  ['p', 'app.keys.projects'],
  ['Ctrl S', 'app.keys.save'],
  ['Esc', 'app.keys.leave'],
  ['?', 'app.keys.help'],
] as const;

/** Keys that work on every page, and the list of them. */
export function Keys() {
  const [shown, setShown] = useState(false);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || writing(event.target)) return;
      if (!keys.value || document.querySelector('dialog[open]')) return;
      const action = { '/': search, '?': () => setShown(true), p: () => go(href([])) }[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    document.addEventListener('keydown', pressed);
    return () => document.removeEventListener('keydown', pressed);
  }, []);
  if (!shown) return null;
  return (
    <Dialog title={t('app.keys')} onClose={() => setShown(false)}>
      <dl class="facts">
        {LIST.map(([key, text]) => (
          <>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </>
        ))}
      </dl>
      <div class="actions">
        <button type="button" autofocus onClick={() => setShown(false)}>
          {t('app.close')}
        </button>
      </div>
    </Dialog>
  );
}
