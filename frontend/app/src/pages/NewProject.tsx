import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t, type TextKey } from '../i18n';
import { en } from '../i18n/en';
import { Form, type Values } from '../parts/Form';
import { Trouble } from '../parts/Trouble';
import { useLoaded } from '../state/loaded';
import { go, href } from '../state/router';
import { slugOf } from '../text/slug';

async function create(values: Values): Promise<void> {
  const { slug = '', name = '', description = '', starter = '' } = values;
  const body = { slug, name, description, starter: starter === '' ? null : starter };
  const project = await call('create_project', { body });
  go(href(['p', project.slug]));
}

/** Our own starters in the person's language; the others say it themselves. */
function aboutStarter({ name, title }: { name: string; title: string }): string {
  const key = `starter.${name}`;
  return key in en ? t(key as TextKey) : title;
}

export function NewProject() {
  const starters = useLoaded(() => call('list_starters'), 'starters');
  const [name, setName] = useState('');
  const [slug, setSlug] = useState<string | undefined>();
  const [begin, setBegin] = useState<string | undefined>();
  const chosen = begin ?? starters.value?.items[0]?.name ?? '';
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
      <Form submit={t('newProject.submit')} action={create} onCancel={() => history.back()}>
        <fieldset class="choices">
          <legend>{t('newProject.starter')}</legend>
          {starters.value?.items.map((starter) => choice(starter.name, starter.name, aboutStarter(starter)))}
        </fieldset>
        <label>
          {t('newProject.name')}
          <input
            name="name"
            required
            maxLength={100}
            autofocus
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
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
