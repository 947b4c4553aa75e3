import { call } from '../api/client';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { all, page } from '../state/paging';

/** Chooses a branch. */
export function BranchPicker({
  slug,
  value,
  label = t('files.branch'),
  name,
  onChange,
}: {
  slug: string;
  value: string;
  label?: string;
  name?: string;
  onChange: (branch: string) => void;
}) {
  const branches = useLoaded(
    () => all((cursor) => call('list_branches', { path: { project: slug }, query: page(cursor, 200) })),
    slug,
  );
  const names = branches.value?.map((branch) => branch.name) ?? [];
  return (
    <label class="inline">
      {label}
      <select {...(name ? { name } : {})} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {(names.includes(value) ? names : [value, ...names]).map((branch) => (
          <option key={branch} value={branch}>
            {branch}
          </option>
        ))}
      </select>
    </label>
  );
}
