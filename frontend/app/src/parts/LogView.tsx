import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { LineView } from '../api/generated';
import { count, t } from '../i18n';
import { plain, spans } from '../text/ansi';
import type { Position } from '../text/positions';
import { Positions } from './Positions';

const ROW_PX = 20;
/** Rows drawn above and below what is seen. */
const MARGIN_ROWS = 20;

function time(at: number): string {
  return new Date(at).toISOString().slice(11, 23);
}

type Link = ((position: Position) => string) | undefined;

function Line({ line, top, link }: { line: LineView; top: number; link: Link }) {
  return (
    <div class={`line ${line.kind}`} style={{ top: `${top}px` }}>
      <span class="quiet">{time(line.at)}</span>{' '}
      {spans(line.message.replace(/\n$/, '')).map((span, index) => (
        <span key={index} class={span.style}>
          {link ? <Positions text={span.text} link={link} /> : span.text}
        </span>
      ))}
    </div>
  );
}

/** A log of any length: only the rows in view are drawn. Follows its end until someone scrolls up. */
export function LogView({ lines, label, link }: { lines: readonly LineView[]; label: string; link?: Link }) {
  const box = useRef<HTMLDivElement>(null);
  const [filter, setFilter] = useState('');
  const [follow, setFollow] = useState(true);
  const [view, setView] = useState({ top: 0, height: 400 });
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    return wanted === '' ? lines : lines.filter((line) => plain(line.message).toLowerCase().includes(wanted));
  }, [lines, lines.length, filter]);

  useEffect(() => {
    const element = box.current;
    if (element && follow) element.scrollTop = element.scrollHeight;
  }, [shown.length, follow]);

  const scrolled = () => {
    const element = box.current;
    if (!element) return;
    setView({ top: element.scrollTop, height: element.clientHeight });
    setFollow(element.scrollTop + element.clientHeight >= element.scrollHeight - 2 * ROW_PX);
  };

  const from = Math.max(0, Math.floor(view.top / ROW_PX) - MARGIN_ROWS);
  const to = Math.min(shown.length, Math.ceil((view.top + view.height) / ROW_PX) + MARGIN_ROWS);
  return (
    <section class="log">
      <div class="bar">
        <input
          type="search"
          placeholder={t('logs.filter')}
          aria-label={t('logs.filter')}
          value={filter}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
        <label class="check">
          <input type="checkbox" checked={follow} onChange={(event) => setFollow(event.currentTarget.checked)} />
          {t('logs.follow')}
        </label>
        <span class="quiet" role="status">
          {filter === ''
            ? t('logs.count', { count: count(lines.length) })
            : t('logs.matching', { count: count(shown.length), all: count(lines.length) })}
        </span>
      </div>
      <div class="lines" ref={box} onScroll={scrolled} tabIndex={0} role="log" aria-label={label}>
        {lines.length === 0 && <p class="quiet">{t('logs.none')}</p>}
        <div style={{ height: `${shown.length * ROW_PX}px` }}>
          {shown.slice(from, to).map((line, index) => (
            <Line key={line.id} line={line} top={(from + index) * ROW_PX} link={link} />
          ))}
        </div>
      </div>
    </section>
  );
}
