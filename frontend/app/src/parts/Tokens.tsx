import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { NewTokenView, TokenView } from '../api/generated';
import { ago, t } from '../i18n';
import { usePages } from '../state/loaded';
import { page } from '../state/paging';
import { Confirm } from './Confirm';
import { Copy } from './Copy';
import { Dialog } from './Dialog';
import { Empty } from './Empty';
import { Form } from './Form';
import { List } from './List';

const SCOPES = ['read', 'write', 'deploy', 'admin'];
const DAY_MS = 86_400_000;
const DAYS_MAX = 366;

function NewToken({ onDone, onClose }: { onDone: (token: NewTokenView) => void; onClose: () => void }) {
  return (
    <Dialog title={t('tokens.create')} onClose={onClose}>
      <Form
        submit={t('tokens.create')}
        onCancel={onClose}
        action={async (values, form) => {
          const scopes = new FormData(form).getAll('scopes').map(String);
          const expires = Date.now() + Number(values.days) * DAY_MS;
          onDone(await call('create_token', { body: { name: values.name ?? '', scopes, expires } }));
        }}
      >
        <label>
          {t('tokens.name')}
          <input name="name" required maxLength={100} autofocus />
        </label>
        <fieldset>
          <legend>{t('tokens.scopes')}</legend>
          {SCOPES.map((scope) => (
            <label key={scope} class="check">
              <input type="checkbox" name="scopes" value={scope} defaultChecked={scope === 'read' || scope === 'write'} />
              {scope}
            </label>
          ))}
        </fieldset>
        <label>
          {t('tokens.days')}
          <input name="days" type="number" min={1} max={DAYS_MAX} defaultValue="90" required />
        </label>
      </Form>
    </Dialog>
  );
}

/** Personal access tokens: their secrets are shown once. */
export function Tokens() {
  const [creating, setCreating] = useState(false);
  const [created, setCreated] = useState<NewTokenView | undefined>();
  const [revoking, setRevoking] = useState<TokenView | undefined>();
  const pages = usePages((cursor) => call('list_tokens', { query: page(cursor, 100) }), 'tokens');
  return (
    <section>
      <header class="title">
        <h2>{t('tokens.title')}</h2>
        <button type="button" class="primary" onClick={() => setCreating(true)}>
          {t('tokens.create')}
        </button>
      </header>
      <p class="quiet">{t('tokens.hint')}</p>
      {created && (
        <div class="notice" role="status">
          <p>{t('tokens.shown')}</p>
          <Copy value={created.token} label={created.name} />
        </div>
      )}
      <List pages={pages} empty={<Empty title={t('tokens.none')} />}>
        {(tokens) => (
          <ul class="rows">
            {tokens.map((token) => (
              <li key={token.id}>
                <b>{token.name}</b>
                <span class="quiet grow">{token.scopes.join(', ')}</span>
                <span class="quiet">
                  {token.last_used ? t('tokens.lastUsed', { when: ago(token.last_used) }) : t('tokens.neverUsed')}
                </span>
                <span>{t('tokens.expires', { when: ago(token.expires) })}</span>
                <button type="button" aria-label={`${t('tokens.revoke')}: ${token.name}`} onClick={() => setRevoking(token)}>
                  {t('tokens.revoke')}
                </button>
              </li>
            ))}
          </ul>
        )}
      </List>
      {creating && (
        <NewToken
          onClose={() => setCreating(false)}
          onDone={(token) => {
            setCreating(false);
            setCreated(token);
            pages.reload();
          }}
        />
      )}
      {revoking && (
        <Confirm
          title={t('tokens.revoke')}
          question={t('tokens.revoke.ask', { name: revoking.name })}
          onClose={() => setRevoking(undefined)}
          action={async () => {
            await call('delete_token', { path: { token: revoking.id } });
            if (created?.id === revoking.id) setCreated(undefined);
            pages.reload();
          }}
        />
      )}
    </section>
  );
}
