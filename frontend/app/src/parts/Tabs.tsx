/** Pages beside each other below one heading. */
export function Tabs({ label, items, current }: { label: string; items: readonly Tab[]; current: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {items.map((item) => (
        <a key={item.name} href={item.href} aria-current={item.name === current ? 'page' : undefined}>
          {item.text}
        </a>
      ))}
    </nav>
  );
}

export interface Tab {
  name: string;
  text: string;
  href: string;
}
