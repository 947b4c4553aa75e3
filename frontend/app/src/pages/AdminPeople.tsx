import { useState } from 'preact/hooks';

import { atVersion, call } from '../api/client';
import type { AccountView } from '../api/generated';
import { t } from '../i18n';
import { Avatar } from '../parts/Avatar';
import { Confirm } from '../parts/Confirm';
import { Dialog } from '../parts/Dialog';
import { Empty } from '../parts/Empty';
import { Form } from '../parts/Form';
import { List } from '../parts/List';
import { Menu } from '../parts/Menu';
import { Moment } from '../parts/Moment';
import { SearchField } from '../parts/SearchField';
import { SecretLink } from '../parts/SecretLink';
import { Trouble } from '../parts/Trouble';
import { usePages } from '../state/loaded';
import { tell } from '../state/notice';
import { page } from '../state/paging';
import { account } from '../state/session';

type Update = { admin?: boolean; disabled?: boolean };
type Asking = 'disable' | 'reset' | 'admin';

interface Link {
  kind: 'invitation' | 'password-reset';
  name: string;
  token: string;
  expires: number;
}

function change(person: AccountView, body: Update): Promise<AccountView> {
  const path = { account: person.id };
  return atVersion('get_account', { path }, (control) => call('update_account', { path, body }, control));
}

function Invite({ onDone, onClose }: { onDone: (link: Link) => void; onClose: () => void }) {
  return (
    <Dialog title={t('admin.invite')} onClose={onClose}>
      <Form
        submit={t('admin.invite')}
        onCancel={onClose}
        action={async (values) => {
          const { email = '', name = '' } = values;
          const { invitation } = await call('create_account', { body: { email, name, invite: true } });
          if (invitation) onDone({ kind: 'invitation', name, ...invitation });
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
        <p class="quiet">{t('admin.invite.hint')}</p>
      </Form>
    </Dialog>
  );
}

function Person({ person, onAsk, onEnable }: { person: AccountView; onAsk: (what: Asking) => void; onEnable: () => void }) {
  const me = person.id === account.value?.id;
  return (
    <li>
      <Avatar name={person.name} />
      <span class="grow">
        <b>{person.name}</b> {me && <span class="quiet">({t('app.you')})</span>}
        <br />
        <span class="quiet">{person.email}</span>
      </span>
      {person.admin && <span class="badge">{t('role.admin')}</span>}
      {person.disabled && <span class="state failed">{t('admin.disabled')}</span>}
      <Moment at={person.created} />
      {!me && (
        <Menu label={`${t('admin.actions')}: ${person.name}`}>
          <button type="button" onClick={() => onAsk('admin')}>
            {t(person.admin ? 'admin.removeAdmin' : 'admin.makeAdmin')}
          </button>
          <button type="button" onClick={() => onAsk('reset')}>
            {t('admin.reset')}
          </button>
          {person.disabled ? (
            <button type="button" onClick={onEnable}>
              {t('admin.enable')}
            </button>
          ) : (
            <button type="button" class="danger" onClick={() => onAsk('disable')}>
              {t('admin.disable')}
            </button>
          )}
        </Menu>
      )}
    </li>
  );
}

/** Who may sign in, and who looks after the platform. */
export function AdminPeople() {
  const [text, setText] = useState('');
  const [error, setError] = useState<unknown>();
  const [inviting, setInviting] = useState(false);
  const [link, setLink] = useState<Link | undefined>();
  const [asking, setAsking] = useState<{ what: Asking; person: AccountView }>();
  const pages = usePages((cursor) => call('list_accounts', { query: { q: text, ...page(cursor, 50) } }), `people ${text}`);
  const update = async (person: AccountView, body: Update, said: string) => {
    setError(undefined);
    const before: Update = 'admin' in body ? { admin: person.admin } : { disabled: person.disabled };
    await change(person, body);
    pages.reload();
    tell(said, async () => {
      await change(person, before);
      pages.reload();
    });
  };
  const reset = async (person: AccountView) => {
    const made = await call('create_password_reset', { path: { account: person.id } });
    setLink({ kind: 'password-reset', name: person.name, token: made.url_fragment_token, expires: made.expires });
  };
  const { what, person } = asking ?? {};
  return (
    <>
      <h2 class="hidden">{t('admin.people')}</h2>
      <div class="finder">
        <SearchField label={t('admin.search')} value={text} onSearch={setText} />
        <button type="button" class="primary" onClick={() => setInviting(true)}>
          {t('admin.invite')}
        </button>
      </div>
      <Trouble error={error} />
      {link && <SecretLink {...link} />}
      <List pages={pages} empty={<Empty title={t('app.noMatch', { text })} />}>
        {(people) => (
          <ul class="rows">
            {people.map((found) => (
              <Person
                key={found.id}
                person={found}
                onAsk={(chosen) => setAsking({ what: chosen, person: found })}
                onEnable={() =>
                  void update(found, { disabled: false }, t('admin.enabled', { name: found.name })).catch(setError)
                }
              />
            ))}
          </ul>
        )}
      </List>
      {inviting && (
        <Invite
          onClose={() => setInviting(false)}
          onDone={(made) => {
            setInviting(false);
            setLink(made);
            pages.reload();
          }}
        />
      )}
      {person && what === 'reset' && (
        <Confirm
          title={t('admin.reset')}
          question={t('admin.reset.ask', { name: person.name })}
          onClose={() => setAsking(undefined)}
          action={() => reset(person)}
        />
      )}
      {person && what === 'disable' && (
        <Confirm
          title={t('admin.disable')}
          question={t('admin.disable.ask', { name: person.name })}
          onClose={() => setAsking(undefined)}
          action={() => update(person, { disabled: true }, t('admin.disabledNow', { name: person.name }))}
        />
      )}
      {person && what === 'admin' && (
        <Confirm
          title={t(person.admin ? 'admin.removeAdmin' : 'admin.makeAdmin')}
          question={t(person.admin ? 'admin.removeAdmin.ask' : 'admin.makeAdmin.ask', { name: person.name })}
          onClose={() => setAsking(undefined)}
          action={() => update(person, { admin: !person.admin }, t('app.saved'))}
        />
      )}
    </>
  );
}
