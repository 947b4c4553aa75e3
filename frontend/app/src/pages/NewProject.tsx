import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t, type TextKey } from '../i18n';
import { en } from '../i18n/en';
import { Form, type Values } from '../parts/Form';
import { Trouble } from '../parts/Trouble';
import { useLoaded } from '../state/loaded';
import { go, href } from '../state/router';
import { slugOf } from '../text/slug';

/** The choice that is no starter. */
const IMPORT = ':import';

async function create(values: Values): Promise<void> {
  const { slug = '', name = '', description = '', starter = '' } = values;
  const from = {
    url: (values['import.url'] ?? '').trim(),
    username: values['import.username'] || null,
    password: values['import.password'] || null,
  };
  const begin = starter === IMPORT ? { import: from } : { starter: starter === '' ? null : starter };
  const project = await call('create_project', { body: { slug, name, description, ...begin } });
  go(href(project.import_job ? ['p', project.slug, 'jobs', project.import_job] : ['p', project.slug]));
}

/** Our own starters in the person's language; the others say it themselves. */
function aboutStarter({ name, title }: { name: string; title: string }): string {
  const key = `starter.${name}`;
  return key in en ? t(key as TextKey) : title;
}

/** `https://host/team/order-shop.git` is called order-shop. */
function nameOf(url: string): string {
  return /([^/:]+?)(?:\.git)?\/*$/.exec(url.trim())?.[1] ?? '';
}

function ImportFields({ onUrl }: { onUrl: (url: string) => void }) {
  return (
    <fieldset>
      <legend>{t('import.title')}</legend>
      <label>
        {t('import.url')}
        <input
          name="import.url"
          type="url"
          required
          placeholder="https://git.example.com/team/project.git"
          spellcheck={false}
          autocapitalize="none"
          onInput={(event) => onUrl(event.currentTarget.value)}
        />
      </label>
      <div class="pair">
        <label>
          {t('import.username')}
          <input name="import.username" autocomplete="off" autocapitalize="none" spellcheck={false} />
        </label>
        <label>
          {t('import.password')}
          <input name="import.password" type="password" autocomplete="off" />
        </label>
      </div>
      <p class="quiet">{t('import.hint')}</p>
    </fieldset>
  );
}

export function NewProject() {
  const starters = useLoaded(() => call('list_starters'), 'starters');
  const [typed, setTyped] = useState<string | undefined>();
  const [slug, setSlug] = useState<string | undefined>();
  const [begin, setBegin] = useState<string | undefined>();
  const [url, setUrl] = useState('');
  const chosen = begin ?? starters.value?.items[0]?.name ?? '';
  const name = typed ?? (chosen === IMPORT ? nameOf(url) : '');
  const choice = (value: string, title: string, about: string) => (
    <label key={value}>
      <input type="radio" name="starter" value={value} checked={chosen === value} onChange={() => setBegin(value)} />
      <b>{title}</b>
      <small>{about}</small>
    </label>
  );
  return (
    <main id="content" class="narrow">
      <h1>{t('newProject.title')}</h1>
      <Trouble error={starters.error} retry={starters.reload} />
      <Form submit={t(chosen === IMPORT ? 'import.submit' : 'newProject.submit')} action={create} onCancel={() => history.back()}>
        <fieldset class="choices">
          <legend>{t('newProject.starter')}</legend>
          {starters.value?.items.map((starter) => choice(starter.name, starter.name, aboutStarter(starter)))}
          {choice(IMPORT, t('import.choice'), t('import.choice.hint'))}
        </fieldset>
        {chosen === IMPORT && <ImportFields onUrl={setUrl} />}
        <label>
          {t('newProject.name')}
          <input
            name="name"
            required
            maxLength={100}
            autofocus
            value={name}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </label>
        <label>
          {t('newProject.slug')}
          <input
            name="slug"
            required
            value={slug ?? slugOf(name)}
            aria-describedby="slug-hint"
            autocapitalize="none"
            spellcheck={false}
            onInput={(event) => setSlug(event.currentTarget.value)}
          />
          <small id="slug-hint">{t('newProject.slug.hint')}</small>
        </label>
        <label>
          {t('newProject.description')}
          <input name="description" maxLength={500} />
        </label>
      </Form>
    </main>
  );
}
