import { useState } from 'preact/hooks';

import { call } from '../api/client';
import type { InvocationView } from '../api/generated';
import { t } from '../i18n';
import { useLoaded } from '../state/loaded';
import { Form, type Values } from './Form';
import { Requests } from './Requests';
import { reason } from './Trouble';

function event(values: Values, branch: string) {
  if (values.source) return { event_path: values.source, ref: branch };
  try {
    return { event: JSON.parse(values.event ?? '{}') as Record<string, unknown> };
  } catch (error) {
    throw new Error(t('function.event.invalid', { reason: reason(error) }));
  }
}

/** Calls a function once, with an event from the repository or from the page. */
export function Invoke({
  slug,
  branch,
  environment,
  id,
}: {
  slug: string;
  branch: string;
  environment: string;
  id: string;
}) {
  const [source, setSource] = useState('');
  const [answer, setAnswer] = useState<InvocationView | undefined>();
  const events = useLoaded(
    () =>
      call('list_tree', { path: { project: slug }, query: { ref: branch, path: 'events', limit: 200 } }).catch(() => ({
        items: [],
      })),
    `${slug} ${branch}`,
  );
  const files = (events.value?.items ?? []).map((entry) => entry.name).filter((name) => name.endsWith('.json'));
  return (
    <section>
      <h3>{t('function.invoke')}</h3>
      <Form
        submit={t('function.invoke')}
        action={async (values) => {
          const path = { project: slug, environment, function: id };
          setAnswer(await call('invoke_function', { path, body: event(values, branch) }));
        }}
      >
        <label>
          {t('function.event.from')}
          <select name="source" value={source} onChange={(change) => setSource(change.currentTarget.value)}>
            <option value="">{t('function.event.own')}</option>
            {files.map((name) => (
              <option key={name} value={`events/${name}`}>
                {name}
              </option>
            ))}
          </select>
        </label>
        {source === '' && (
          <label>
            {t('function.event')}
            <textarea name="event" rows={6} class="mono" spellcheck={false} defaultValue="{}" />
          </label>
        )}
      </Form>
      {answer && (
        <div role="status">
          {answer.function_error && <p class="trouble">{t('function.failed', { error: answer.function_error })}</p>}
          <h4>{t('function.result')}</h4>
          <pre class="output">{JSON.stringify(answer.result, null, 2)}</pre>
          {answer.report && <Requests requests={[answer.report]} label={t('function.figures')} />}
          <h4>{t('function.logTail')}</h4>
          <pre class="output">{answer.log_tail}</pre>
        </div>
      )}
    </section>
  );
}
