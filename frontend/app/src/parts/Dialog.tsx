import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';

/** A modal dialog: focus stays inside, Escape closes it, focus returns to where it was. Without `onClose` it stays. */
export function Dialog({
  title,
  onClose,
  children,
  wide = false,
}: {
  title: string;
  onClose?: () => void;
  children: ComponentChildren;
  wide?: boolean;
}) {
  const element = useRef<HTMLDialogElement>(null);
  const answered = useRef(false);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => {
      // Gone from the page: its closing is no answer any more.
      answered.current = true;
      dialog?.close();
    };
  }, []);
  const closed = () => {
    if (answered.current) return;
    if (onClose) onClose();
    else element.current?.showModal();
  };
  return (
    <dialog ref={element} class={wide ? 'wide' : ''} aria-labelledby={heading} onClose={closed}>
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}
