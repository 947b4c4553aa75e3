import { useState } from 'preact/hooks';

import { atVersion, call, callVersioned } from '../api/client';
import { t } from '../i18n';
import { Confirm } from '../parts/Confirm';
import { Form } from '../parts/Form';
import { Trouble } from '../parts/Trouble';
import { Waiting } from '../parts/Waiting';
import { useLoaded } from '../state/loaded';
import { tell } from '../state/notice';
import { useProject } from '../state/project';
import { go, href } from '../state/router';

const lines = (text: string | undefined) => (text ?? '').split('\n').map((line) => line.trim()).filter((line) => line !== '');

/** Name, protections, and the end of the project. */
export function SettingsGeneral() {
  const { project, reload } = useProject();
  const { slug } = project;
  const path = { project: slug };
  const [saved, setSaved] = useState(false);
  const [deleting, setDeleting] = useState(false);
  // The version that the fields show is the version that they change.
  const loaded = useLoaded(() => callVersioned('get_project', { path }), slug);
  if (!loaded.value) return loaded.loading ? <Waiting /> : <Trouble error={loaded.error} retry={loaded.reload} />;
  const { value: shown, etag } = loaded.value;
  return (
    <>
      <section key={etag}>
        <h2>{t('settings.general')}</h2>
        <Form
          submit={t('app.save')}
          action={async (values) => {
            setSaved(false);
            const body = {
              name: values.name ?? '',
              description: values.description ?? '',
              protected_branches: lines(values.protected_branches),
              protected_environments: lines(values.protected_environments),
            };
            await call('update_project', { path, body }, { ifMatch: etag });
            setSaved(true);
            loaded.reload();
            reload();
          }}
        >
          <label>
            {t('newProject.name')}
            <input name="name" required maxLength={100} defaultValue={shown.name} />
          </label>
          <label>
            {t('newProject.description')}
            <input name="description" maxLength={500} defaultValue={shown.description} />
          </label>
          <label>
            {t('settings.protectedBranches')}
            <textarea name="protected_branches" rows={3} defaultValue={shown.protected_branches.join('\n')} />
            <small>{t('settings.lines.hint')}</small>
          </label>
          <label>
            {t('settings.protectedEnvironments')}
            <textarea name="protected_environments" rows={2} defaultValue={shown.protected_environments.join('\n')} />
            <small>{t('settings.lines.hint')}</small>
          </label>
        </Form>
        <p role="status">{saved ? t('app.saved') : ''}</p>
      </section>
      <section>
        <h2>{t('settings.danger')}</h2>
        <p>{t('settings.danger.hint')}</p>
        <button type="button" class="danger" onClick={() => setDeleting(true)}>
          {t('settings.danger')}
        </button>
      </section>
      {deleting && (
        <Confirm
          title={t('settings.danger')}
          question={t('settings.danger.confirm', { slug })}
          typed={slug}
          onClose={() => setDeleting(false)}
          action={async () => {
            await atVersion('get_project', { path }, (control) => call('delete_project', { path }, control));
            go(href([]));
            tell(t('settings.deleted', { slug }));
          }}
        />
      )}
    </>
  );
}
