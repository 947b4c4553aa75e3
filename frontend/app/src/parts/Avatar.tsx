/** A person's first letters. Their name is beside it or in its title. */
export function Avatar({ name, title }: { name: string; title?: string }) {
  const letters = name
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => [...word][0])
    .slice(0, 2)
    .join('')
    .toUpperCase();
  return title ? (
    <span class="avatar" role="img" aria-label={title} title={title}>
      {letters || '?'}
    </span>
  ) : (
    <span class="avatar" aria-hidden="true">
      {letters || '?'}
    </span>
  );
}
