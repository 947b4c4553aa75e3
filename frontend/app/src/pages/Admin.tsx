import { useState } from 'preact/hooks';

import { atVersion, call } from '../api/client';
import type { AccountView } from '../api/generated';
import { t } from '../i18n';
import { Confirm } from '../parts/Confirm';
import { Dialog } from '../parts/Dialog';
import { Empty } from '../parts/Empty';
import { Form } from '../parts/Form';
import { List } from '../parts/List';
import { Moment } from '../parts/Moment';
import { Trouble } from '../parts/Trouble';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { account } from '../state/session';

type Update = { admin?: boolean; disabled?: boolean; password?: string };

function change(person: AccountView, body: Update): Promise<AccountView> {
  const path = { account: person.id };
  return atVersion('get_account', { path }, (control) => call('update_account', { path, body }, control));
}

function Password({ person, onClose }: { person: AccountView; onClose: () => void }) {
  return (
    <Dialog title={t('admin.reset.title', { name: person.name })} onClose={onClose}>
      <Form
        submit={t('admin.reset')}
        onCancel={onClose}
        action={async (values) => {
          await change(person, { password: values.password ?? '' });
          onClose();
        }}
      >
        <label>
          {t('account.password.new')}
          <input name="password" type="password" autocomplete="new-password" minLength={12} maxLength={128} required autofocus />
          <small>{t('account.password.hint')}</small>
        </label>
      </Form>
    </Dialog>
  );
}

function Invite({ onDone, onClose }: { onDone: (email: string) => void; onClose: () => void }) {
  return (
    <Dialog title={t('admin.invite')} onClose={onClose}>
      <Form
        submit={t('admin.invite')}
        onCancel={onClose}
        action={async (values) => {
          const { email = '', name = '', password = '' } = values;
          await call('create_account', { body: { email, name, password } });
          onDone(email);
        }}
      >
        <label>
          {t('signIn.email')}
          <input name="email" type="email" autocomplete="off" required autofocus />
        </label>
        <label>
          {t('account.name')}
          <input name="name" autocomplete="off" required maxLength={100} />
        </label>
        <label>
          {t('admin.invite.password')}
          <input name="password" type="password" autocomplete="new-password" minLength={12} maxLength={128} required />
          <small>{t('account.password.hint')}</small>
        </label>
      </Form>
    </Dialog>
  );
}

/** People: who may sign in, and who looks after the platform. */
export function Admin({ section: _ }: { section: string }) {
  const [text, setText] = useState('');
  const [said, setSaid] = useState('');
  const [error, setError] = useState<unknown>();
  const [asking, setAsking] = useState<{ what: 'invite' } | { what: 'disable' | 'password'; person: AccountView }>();
  const pages = usePages((cursor) => call('list_accounts', { query: page(cursor, 100) }), 'accounts');
  const update = async (person: AccountView, body: Update) => {
    setError(undefined);
    await change(person, body).catch(setError);
    pages.reload();
  };
  const close = () => setAsking(undefined);
  const found = (people: AccountView[]) =>
    people.filter((person) => `${person.name} ${person.email}`.toLowerCase().includes(text.toLowerCase()));
  return (
    <main id="content">
      <header class="title">
        <h1>{t('admin.people')}</h1>
        <button type="button" class="primary" onClick={() => setAsking({ what: 'invite' })}>
          {t('admin.invite')}
        </button>
      </header>
      <input
        type="search"
        placeholder={t('admin.search')}
        aria-label={t('admin.search')}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <p role="status">{said}</p>
      <Trouble error={error} />
      <List pages={pages} empty={null}>
        {(people) =>
          found(people).length === 0 ? (
            <Empty title={t('app.noMatch', { text })} />
          ) : (
            <ul class="rows">
              {found(people).map((person) => (
                <li key={person.id}>
                  <b>{person.name}</b>
                  <span class="quiet grow">{person.email}</span>
                  {person.admin && <span class="badge">{t('role.admin')}</span>}
                  {person.disabled && <span class="state failed">{t('admin.disabled')}</span>}
                  <Moment at={person.created} />
                  {person.id !== account.value?.id && (
                    <>
                      <button type="button" onClick={() => void update(person, { admin: !person.admin })}>
                        {t(person.admin ? 'admin.removeAdmin' : 'admin.makeAdmin')}
                      </button>
                      <button type="button" onClick={() => setAsking({ what: 'password', person })}>
                        {t('admin.reset')}
                      </button>
                      {person.disabled ? (
                        <button type="button" onClick={() => void update(person, { disabled: false })}>
                          {t('admin.enable')}
                        </button>
                      ) : (
                        <button type="button" onClick={() => setAsking({ what: 'disable', person })}>
                          {t('admin.disable')}
                        </button>
                      )}
                    </>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </List>
      {asking?.what === 'invite' && (
        <Invite
          onClose={close}
          onDone={(email) => {
            close();
            setSaid(t('admin.invite.done', { email }));
            pages.reload();
          }}
        />
      )}
      {asking?.what === 'password' && <Password person={asking.person} onClose={close} />}
      {asking?.what === 'disable' && (
        <Confirm
          title={t('admin.disable')}
          question={t('admin.disable.ask', { name: asking.person.name })}
          onClose={close}
          action={() => update(asking.person, { disabled: true })}
        />
      )}
    </main>
  );
}
