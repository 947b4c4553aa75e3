import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

import { t } from '../i18n';
import { Trouble } from './Trouble';
import { Waiting } from './Waiting';

/** A component that is fetched when it is first shown. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let ready: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [failed, setFailed] = useState(false);
    const [, drawn] = useState(0);
    useEffect(() => {
      if (ready || failed) return;
      load().then(
        (component) => {
          ready = component;
          drawn((before) => before + 1);
        },
        () => setFailed(true),
      );
    }, [failed]);
    // A newer release has taken the place of the files that this page began with.
    if (failed) return <Trouble error={new Error(t('app.newRelease'))} retry={() => location.reload()} />;
    const Ready = ready;
    return Ready ? <Ready {...props} /> : <Waiting />;
  };
}
