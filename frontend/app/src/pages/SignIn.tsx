import { t } from '../i18n';
import { Form } from '../parts/Form';
import { signIn } from '../state/session';

export function SignIn() {
  return (
    <main id="content" class="narrow">
      <h1>{t('app.name')}</h1>
      <p class="lead">{t('signIn.lead')}</p>
      <section class="card" aria-labelledby="sign-in">
        <h2 id="sign-in">{t('signIn.title')}</h2>
        <Form submit={t('signIn.submit')} action={(values) => signIn(values.email ?? '', values.password ?? '')}>
          <label>
            {t('signIn.email')}
            <input name="email" type="email" autocomplete="username" required autofocus />
          </label>
          <label>
            {t('signIn.password')}
            <input name="password" type="password" autocomplete="current-password" required />
          </label>
        </Form>
      </section>
      <p class="quiet">{t('signIn.help')}</p>
      <p>
        <a href="../openapi.json">{t('app.apiDocument')}</a>
      </p>
    </main>
  );
}
