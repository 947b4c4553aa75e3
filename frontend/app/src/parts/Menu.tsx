import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Actions behind one button. Closes on a choice, on Escape, and when the focus leaves it. */
export function Menu({ label, children }: { label: string; children: ComponentChildren }) {
  const element = useRef<HTMLDetailsElement>(null);
  const close = () => element.current?.removeAttribute('open');
  useEffect(() => {
    const outside = (event: Event) => {
      if (event.target instanceof Node && !element.current?.contains(event.target)) close();
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, []);
  const key = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !element.current?.open) return;
    event.preventDefault();
    close();
    element.current.querySelector('summary')?.focus();
  };
  return (
    <details class="menu" ref={element} onKeyDown={key}>
      <summary aria-label={label} title={label}>
        ⋯
      </summary>
      <div onClick={close}>{children}</div>
    </details>
  );
}
