import type { ComponentChildren } from 'preact';

/** A list without items: what is missing, and how to get the first. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p>{title}</p>
      {children}
    </div>
  );
}
