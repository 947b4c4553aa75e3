import { useEffect, useRef, useState } from 'preact/hooks';

import type { LineView, RequestView } from '../api/generated';
import { t } from '../i18n';
import { followLog, type LogTarget } from '../state/socket';
import type { Position } from '../text/positions';
import { LogView } from './LogView';
import { Requests } from './Requests';

/** Older lines go when there are more. */
const LINES_MAX = 100_000;

/** A log that is followed while it is on the page. */
export function FollowedLog({
  target,
  label,
  link,
}: {
  target: LogTarget;
  label: string;
  /** Where a place in a file leads. */
  link?: (position: Position) => string;
}) {
  const lines = useRef<LineView[]>([]);
  const seen = useRef(new Set<string>());
  const requests = useRef<RequestView[]>([]);
  const [sampled, setSampled] = useState(false);
  const [, redraw] = useState(0);
  const key = JSON.stringify(target);
  useEffect(() => {
    lines.current = [];
    seen.current = new Set();
    requests.current = [];
    setSampled(false);
    redraw((before) => before + 1);
    return followLog(target, (more) => {
      const fresh = more.lines.filter((line) => !seen.current.has(line.id));
      for (const line of fresh) seen.current.add(line.id);
      lines.current = [...lines.current, ...fresh];
      if (lines.current.length > LINES_MAX) {
        for (const old of lines.current.splice(0, lines.current.length - LINES_MAX)) seen.current.delete(old.id);
      }
      requests.current = [...requests.current, ...more.requests];
      if (more.sampled) setSampled(true);
      redraw((before) => before + 1);
    });
    // The target is compared by its content.
  }, [key]);
  return (
    <>
      {sampled && <p class="notice">{t('logs.sampled')}</p>}
      <LogView lines={lines.current} label={label} link={link} />
      <Requests requests={requests.current} />
    </>
  );
}
