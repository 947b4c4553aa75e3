import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { MemberView } from '../api/generated';
import { t, type TextKey } from '../i18n';
import { usePages } from '../state/loaded';
import { tell } from '../state/notice';
import { page } from '../state/paging';
import { useEvents, useProject } from '../state/project';
import { account } from '../state/session';
import { Avatar } from './Avatar';
import { Confirm } from './Confirm';
import { Dialog } from './Dialog';
import { Form } from './Form';
import { List } from './List';
import { Moment } from './Moment';
import { Trouble } from './Trouble';

const ROLES = ['owner', 'maintainer', 'developer', 'viewer'] as const;

function RoleOptions() {
  return (
    <>
      {ROLES.map((role) => (
        <option key={role} value={role}>
          {t(`role.${role}` as TextKey)}
        </option>
      ))}
    </>
  );
}

/** Who works on the project, and as what. */
export function Members() {
  const { project } = useProject();
  const { slug } = project;
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<MemberView | undefined>();
  const [error, setError] = useState<unknown>();
  const pages = usePages((cursor) => call('list_members', { path: { project: slug }, query: page(cursor, 100) }), slug);
  useEvents(project, ['member.'], pages.reload);
  const set = (member: string, role: string) =>
    call('set_member', { path: { project: slug, account: member }, body: { role } });
  const change = async (member: MemberView, role: string) => {
    setError(undefined);
    await set(member.account, role).catch(setError);
    pages.reload();
  };
  return (
    <section>
      <header class="title">
        <h2>{t('settings.members')}</h2>
        <button type="button" onClick={() => setAdding(true)}>
          {t('settings.member.add')}
        </button>
      </header>
      <Trouble error={error} />
      <List pages={pages} empty={null}>
        {(members) => (
          <ul class="rows">
            {members.map((member) => (
              <li key={member.account}>
                <Avatar name={member.name} />
                <b>{member.name}</b>
                <span class="quiet grow">
                  {member.email}
                  {member.account === account.value?.id ? ` (${t('app.you')})` : ''}
                </span>
                <Moment at={member.since} />
                <select
                  aria-label={`${t('projects.role')}: ${member.name}`}
                  value={member.role}
                  onChange={(event) => void change(member, event.currentTarget.value)}
                >
                  <RoleOptions />
                </select>
                <button type="button" aria-label={`${t('settings.member.remove')}: ${member.name}`} onClick={() => setRemoving(member)}>
                  {t('settings.member.remove')}
                </button>
              </li>
            ))}
          </ul>
        )}
      </List>
      {adding && (
        <Dialog title={t('settings.member.add')} onClose={() => setAdding(false)}>
          <Form
            submit={t('settings.member.add')}
            onCancel={() => setAdding(false)}
            action={async (values) => {
              const { email = '', role = 'developer' } = values;
              await call('add_member', { path: { project: slug }, body: { email, role } });
              setAdding(false);
              pages.reload();
            }}
          >
            <label>
              {t('signIn.email')}
              <input name="email" type="email" required autofocus autocomplete="off" spellcheck={false} />
              <small>{t('settings.member.hint')}</small>
            </label>
            <label>
              {t('projects.role')}
              <select name="role" defaultValue="developer">
                <RoleOptions />
              </select>
            </label>
          </Form>
        </Dialog>
      )}
      {removing && (
        <Confirm
          title={t('settings.member.remove')}
          question={t('settings.member.remove.ask', { name: removing.name })}
          onClose={() => setRemoving(undefined)}
          action={async () => {
            const { account: member, name, role } = removing;
            await call('delete_member', { path: { project: slug, account: member } });
            pages.reload();
            tell(t('settings.member.removed', { name }), async () => {
              await set(member, role);
              pages.reload();
            });
          }}
        />
      )}
    </section>
  );
}
