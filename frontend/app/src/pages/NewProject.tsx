import { useState } from 'preact/hooks';

import { call } from '../api/client';
import { t } from '../i18n';
import { Form, type Values } from '../parts/Form';
import { Trouble } from '../parts/Trouble';
import { useLoaded } from '../state/loaded';
import { go, href } from '../state/router';
import { slugOf } from '../text/slug';

async function create(values: Values): Promise<void> {
  const { slug = '', name = '', description = '', starter = '' } = values;
  const project = await call('create_project', {
    body: { slug, name, description, starter: starter === '' ? null : starter },
  });
  go(href(['p', project.slug]));
}

export function NewProject() {
  const starters = useLoaded(() => call('list_starters'), 'starters');
  const [name, setName] = useState('');
  const [slug, setSlug] = useState<string | undefined>();
  return (
    <main id="content" class="narrow">
      <h1>{t('newProject.title')}</h1>
      <Trouble error={starters.error} retry={starters.reload} />
      <Form submit={t('newProject.submit')} action={create} onCancel={() => history.back()}>
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
        <fieldset>
          <legend>{t('newProject.starter')}</legend>
          {starters.value?.items.map((starter, index) => (
            <label key={starter.name} class="check">
              <input type="radio" name="starter" value={starter.name} defaultChecked={index === 0} />
              <b>{starter.name}</b> {starter.title}
            </label>
          ))}
        </fieldset>
      </Form>
    </main>
  );
}
