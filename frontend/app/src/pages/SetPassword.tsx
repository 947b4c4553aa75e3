import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t } from '../i18n';
import { Form } from '../parts/Form';
import { type Arrival, arrival } from '../state/arrival';
import { account, forget } from '../state/session';

/** Where an invitation or a reset link leads: one password, and then the sign-in. */
export function SetPassword({ from }: { from: Arrival }) {
  const [shown, setShown] = useState(false);
  const [done, setDone] = useState(false);
  const leave = () => {
    arrival.value = undefined;
  };
  const set = async (password: string) => {
    await call('redeem_password_reset', { body: { token: from.token, password } }, { expectSignedOut: true });
    // Whoever was signed in here is not who the link is for.
    if (account.value) await forget();
    setDone(true);
  };
  return (
    <main id="content" class="narrow">
      <h1>{t('app.name')}</h1>
      <section class="card" aria-labelledby="set-password">
        <h2 id="set-password">{t(from.kind === 'invitation' ? 'welcome.title' : 'welcome.reset')}</h2>
        {done ? (
          <div role="status">
            <p>{t('welcome.done')}</p>
            <button type="button" class="primary" autofocus onClick={leave}>
              {t('signIn.submit')}
            </button>
          </div>
        ) : (
          <Form submit={t('welcome.submit')} onCancel={leave} action={(values) => set(values.password ?? '')}>
            <p>{t(from.kind === 'invitation' ? 'welcome.lead' : 'welcome.reset.lead')}</p>
            <label>
              {t('account.password.new')}
              <input
                name="password"
                type={(shown ? 'text' : 'password') as 'password'}
                autocomplete="new-password"
                minLength={12}
                maxLength={128}
                required
                autofocus
              />
              <small>{t('account.password.hint')}</small>
            </label>
            <label class="check">
              <input type="checkbox" checked={shown} onChange={(event) => setShown(event.currentTarget.checked)} />
              {t('welcome.show')}
            </label>
            <p class="quiet">{t('welcome.hint')}</p>
          </Form>
        )}
      </section>
    </main>
  );
}
