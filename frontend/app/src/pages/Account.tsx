import { useState } from 'preact/hooks';

import { atVersion, call } from '../api/client';
import { type Language, LANGUAGES, language, speak, t } from '../i18n';
import { Form } from '../parts/Form';
import { Tokens } from '../parts/Tokens';
import { Trouble } from '../parts/Trouble';
import { allowKeys, keys } from '../state/keys';
import { keep } from '../state/preferences';
import { account } from '../state/session';
import { type Theme, theme, wear } from '../state/theme';

function Choices({ onChange }: { onChange: () => void }) {
  const then = (change: () => void) => {
    change();
    onChange();
  };
  return (
    <>
      <label>
        {t('app.language')}
        <select value={language.value} onChange={(event) => then(() => speak(event.currentTarget.value as Language))}>
          {Object.entries(LANGUAGES).map(([code, name]) => (
            <option key={code} value={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t('app.theme')}
        <select value={theme.value} onChange={(event) => then(() => wear(event.currentTarget.value as Theme))}>
          <option value="system">{t('app.theme.system')}</option>
          <option value="light">{t('app.theme.light')}</option>
          <option value="dark">{t('app.theme.dark')}</option>
        </select>
      </label>
      <label class="check">
        <input type="checkbox" checked={keys.value} onChange={(event) => then(() => allowKeys(event.currentTarget.checked))} />
        {t('app.keys.allow')}
      </label>
    </>
  );
}

export function Account() {
  const [said, setSaid] = useState('');
  const [error, setError] = useState<unknown>();
  const me = account.value;
  if (!me) return null;
  return (
    <main id="content">
      <h1>{t('account.title')}</h1>
      <p role="status">{said}</p>
      <Trouble error={error} />
      <section>
        <h2>{t('account.profile')}</h2>
        <p class="quiet">
          {me.email} · <code>{me.id}</code>
        </p>
        <Form
          submit={t('app.save')}
          action={async (values) => {
            const body = { name: values.name ?? '' };
            account.value = await atVersion('get_me', {}, (control) => call('update_me', { body }, control));
            setSaid(t('app.saved'));
          }}
        >
          <label>
            {t('account.name')}
            <input name="name" required maxLength={100} defaultValue={me.name} autocomplete="name" />
          </label>
        </Form>
        <Choices
          onChange={() => {
            setSaid('');
            keep().then(() => setSaid(t('app.saved')), setError);
          }}
        />
      </section>
      <section>
        <h2>{t('account.password')}</h2>
        <Form
          submit={t('account.password.change')}
          action={async (values, form) => {
            const { password = '', current_password = '' } = values;
            await call('update_me', { body: { password, current_password } });
            form.reset();
            setSaid(t('app.saved'));
          }}
        >
          <input type="hidden" name="username" autocomplete="username" value={me.email} />
          <label>
            {t('account.password.current')}
            <input name="current_password" type="password" autocomplete="current-password" required />
          </label>
          <label>
            {t('account.password.new')}
            <input name="password" type="password" autocomplete="new-password" minLength={12} maxLength={128} required />
            <small>{t('account.password.hint')}</small>
          </label>
        </Form>
      </section>
      <Tokens />
    </main>
  );
}
