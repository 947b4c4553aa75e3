import { useState } from 'preact/hooks';

import { Dialog } from './Dialog';
import { Form } from './Form';

/** Asks before something that cannot be undone. With `typed`, that word must be typed. */
export function Confirm({
  title,
  question,
  typed,
  action,
  onClose,
}: {
  title: string;
  question: string;
  typed?: string;
  action: () => Promise<void>;
  onClose: () => void;
}) {
  const [text, setText] = useState('');
  const run = async () => {
    await action();
    onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <Form submit={title} danger disabled={typed !== undefined && text !== typed} onCancel={onClose} action={run}>
        {typed === undefined ? (
          <p>{question}</p>
        ) : (
          <label>
            {question}
            <input
              name="confirmation"
              autocomplete="off"
              value={text}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        )}
      </Form>
    </Dialog>
  );
}
