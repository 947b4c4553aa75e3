// What a page reads: one value, or a list page by page.

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import type { PageOf } from './paging';

/** One read: waiting, failed, or there. An older value stays while a newer one is fetched. */
export interface Loaded<T> {
  value: T | undefined;
  error: unknown;
  loading: boolean;
  reload: () => void;
}

/** Reads again when `key` changes; an answer to an older key is dropped. */
export function useLoaded<T>(read: (signal: AbortSignal) => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = useState<{ key: string; value: T | undefined; error: unknown; loading: boolean }>({
    key,
    value: undefined,
    error: undefined,
    loading: true,
  });
  const [round, setRound] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    const control = new AbortController();
    setState((before) => ({ ...before, key, value: before.key === key ? before.value : undefined, loading: true }));
    latest.current(control.signal).then(
      (value) => {
        if (!control.signal.aborted) setState({ key, value, error: undefined, loading: false });
      },
      (error: unknown) => {
        if (!control.signal.aborted) setState((before) => ({ ...before, error, loading: false }));
      },
    );
    return () => control.abort();
  }, [key, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  const current = state.key === key;
  return {
    value: current ? state.value : undefined,
    error: current ? state.error : undefined,
    loading: state.loading || !current,
    reload,
  };
}

export interface Pages<T> {
  items: T[];
  /** Nothing has been read yet. */
  first: boolean;
  loading: boolean;
  error: unknown;
  more: (() => void) | undefined;
  reload: () => void;
}

/** A search may answer an empty page and say how to go on: so often it is asked before a person is. */
const ROUNDS = 10;

/** The next page that has something, or the last. */
async function filled<T>(
  read: (cursor: string | undefined) => Promise<PageOf<T>>,
  cursor: string | undefined,
): Promise<PageOf<T>> {
  let found = await read(cursor);
  for (let round = 1; found.items.length === 0 && found.next && round < ROUNDS; round += 1) {
    found = await read(found.next);
  }
  return found;
}

/** Reads a list page by page. */
export function usePages<T>(read: (cursor: string | undefined) => Promise<PageOf<T>>, key: string): Pages<T> {
  const [state, setState] = useState<{ items: T[]; next: string | undefined; first: boolean; error: unknown }>({
    items: [],
    next: undefined,
    first: true,
    error: undefined,
  });
  const [loading, setLoading] = useState(true);
  const turn = useRef(0);
  const latest = useRef(read);
  latest.current = read;

  const load = useCallback((cursor: string | undefined, fresh: boolean) => {
    turn.current += 1;
    const mine = turn.current;
    setLoading(true);
    filled(latest.current, cursor)
      .then(
        (page) => {
          if (mine !== turn.current) return;
          setState((before) => ({
            items: fresh ? page.items : [...before.items, ...page.items],
            next: page.next ?? undefined,
            first: false,
            error: undefined,
          }));
        },
        (error: unknown) => {
          if (mine === turn.current) setState((before) => ({ ...before, first: false, error }));
        },
      )
      .finally(() => {
        if (mine === turn.current) setLoading(false);
      });
  }, []);

  useEffect(() => {
    setState({ items: [], next: undefined, first: true, error: undefined });
    load(undefined, true);
  }, [key, load]);

  const next = state.next;
  return {
    items: state.items,
    first: state.first,
    loading,
    error: state.error,
    more: next === undefined ? undefined : () => load(next, false),
    reload: useCallback(() => load(undefined, true), [load]),
  };
}
