import { useEffect, useRef } from 'preact/hooks';

/** Of a row that is wider than the window: the current one is in view. */
export function useCurrentInView(current: string) {
  const row = useRef<HTMLElement>(null);
  useEffect(() => {
    const [nav, chosen] = [row.current, row.current?.querySelector<HTMLElement>('[aria-current]')];
    if (nav && chosen) nav.scrollLeft = chosen.offsetLeft - nav.offsetLeft - (nav.clientWidth - chosen.offsetWidth) / 2;
  }, [current]);
  return row;
}

/** Pages beside each other below one heading. */
export function Tabs({ label, items, current }: { label: string; items: readonly Tab[]; current: string }) {
  const row = useCurrentInView(current);
  return (
    <nav ref={row} class="tabs" aria-label={label}>
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
