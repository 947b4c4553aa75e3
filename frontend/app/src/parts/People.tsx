import { t } from '../i18n';
import { usePeople, useProject } from '../state/project';
import { account } from '../state/session';
import { Avatar } from './Avatar';

/** Who else has the project open, and in which file. */
export function People() {
  const { project } = useProject();
  const others = usePeople(project, account.value?.id);
  if (others.length === 0) return null;
  const where = (path: string | null | undefined, branch: string | null | undefined) =>
    path ? t('people.in', { path }) : branch ? t('people.on', { branch }) : '';
  return (
    <ul class="people" aria-label={t('people.here')}>
      {others.map((person) => (
        <li key={person.account}>
          <Avatar name={person.name} title={[person.name, where(person.path, person.branch)].filter((part) => part).join(' · ')} />
        </li>
      ))}
    </ul>
  );
}
