import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

import { Problem } from '../api/client';
import { t } from '../i18n';
import { Trouble } from './Trouble';

/** What the fields hold, by name. */
export type Values = Record<string, string>;

/** A form that waits for its action, shows why it failed beside the field at fault, and keeps what was typed. */
export function Form({
  submit,
  action,
  onCancel,
  children,
  danger = false,
  disabled = false,
}: {
  submit: string;
  action: (values: Values, form: HTMLFormElement) => Promise<void>;
  onCancel?: () => void;
  children: ComponentChildren;
  danger?: boolean;
  disabled?: boolean;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const values: Values = {};
    for (const [name, value] of new FormData(form)) if (typeof value === 'string') values[name] = value;
    setBusy(true);
    setError(undefined);
    try {
      await action(values, form);
    } catch (failure) {
      setError(failure);
      const field = failure instanceof Problem && failure.field ? form.elements.namedItem(failure.field) : null;
      if (field instanceof HTMLElement) field.focus();
    } finally {
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => void run(event)}>
      {children}
      <Trouble error={error} />
      <div class="actions">
        <button class={danger ? 'danger' : 'primary'} disabled={busy || disabled} aria-busy={busy}>
          {submit}
        </button>
        {onCancel && (
          <button type="button" onClick={onCancel}>
            {t('app.cancel')}
          </button>
        )}
      </div>
    </form>
  );
}
