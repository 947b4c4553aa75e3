//! Where a reader is: a time, and which of the events at or after it were read.
//!
//! CloudWatch Logs orders events by their own time, then by arrival. An event may arrive after younger ones, and many
//! share a millisecond. So a reader goes back [`WINDOW_MS`] at each read and leaves out what it has had.
//!
//! **Bound**: an event is found when it arrives at most [`WINDOW_MS`] of log time after its time has passed and no more
//! than [`SEEN_MAX`] younger events were read by then ([`SEEN_WHILE_FOLLOWED_MAX`] by a reader that follows). One that
//! arrives later still is not in this reader's pages; a new read from a `start` has it. Nothing is ever repeated.

use std::collections::{BTreeSet, HashMap};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::{Error, LogCursor, LogRecord, Millis, Result};
use sha2::{Digest, Sha256};

/// How far back a reader looks for late events (milliseconds of log time).
pub(super) const WINDOW_MS: i64 = 10_000;
/// Events that a cursor can name: it must fit into a query string.
pub(super) const SEEN_MAX: usize = 400;
/// Events that a reader who follows holds in memory.
pub(super) const SEEN_WHILE_FOLLOWED_MAX: usize = 20_000;
/// Longest cursor that is looked at (bytes).
const CURSOR_BYTES_MAX: usize = 8 * 1024;
const VERSION: &str = "w1";
/// An event in a cursor: three bytes of time after `from` (four hours), four of its mark.
const SEEN_BYTES: usize = 7;

/// Tells events of one millisecond apart.
type Mark = u32;

/// An event as the service tells it, without an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawEvent {
    pub stream: String,
    pub at: i64,
    pub ingested: i64,
    pub message: String,
}

/// Gives events their ids. Equal lines of one stream and millisecond are counted, in the order of their arrival: the id
/// is the same wherever the event was read, by `GetLogEvents`, `FilterLogEvents` or a live tail.
#[derive(Default)]
pub(super) struct Names {
    counts: HashMap<[u8; 12], (i64, u32)>,
}

impl Names {
    pub fn name(&mut self, event: &RawEvent) -> ([u8; 12], Mark) {
        let base = digest(event, 0);
        let (_, count) = self.counts.entry(base).or_insert((event.at, 0));
        let id = if *count == 0 { base } else { digest(event, *count) };
        *count += 1;
        (id, u32::from_be_bytes([id[0], id[1], id[2], id[3]]))
    }

    /// Forgets events before `from`.
    pub fn forget(&mut self, from: i64) {
        self.counts.retain(|_, (at, _)| *at >= from);
    }
}

fn digest(event: &RawEvent, count: u32) -> [u8; 12] {
    let mut hash = Sha256::new();
    hash.update(event.stream.as_bytes());
    hash.update([0]);
    hash.update(event.at.to_be_bytes());
    hash.update(count.to_be_bytes());
    hash.update(event.message.as_bytes());
    let whole: [u8; 32] = hash.finalize().into();
    let mut id = [0; 12];
    id.copy_from_slice(&whole[..12]);
    id
}

pub(super) fn record(event: RawEvent, id: [u8; 12]) -> LogRecord {
    let id = id.iter().map(|byte| format!("{byte:02x}")).collect();
    LogRecord {
        id,
        stream: event.stream,
        at: Millis(event.at),
        ingested: Millis(event.ingested),
        message: event.message,
    }
}

/// What was read of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Everything before was read, or came too late.
    pub from: i64,
    /// Of the events at exactly `from`, this many were read, counted in the service's order.
    skip: usize,
    seen: BTreeSet<(i64, Mark)>,
}

impl Window {
    pub fn starting(at: Option<Millis>) -> Self {
        Self { from: at.map_or(0, |at| at.0.max(0)), ..Self::default() }
    }

    /// How many events at or after `from` were read.
    pub fn read(&self) -> usize {
        let (at_from, later) = self.counts();
        at_from + later
    }

    /// Of the events that were read: those at `from`, and those after it.
    fn counts(&self) -> (usize, usize) {
        let at_from = self.seen.range(..=(self.from, Mark::MAX)).count();
        (self.skip.max(at_from), self.seen.len() - at_from)
    }

    pub fn has(&self, at: i64, mark: Mark) -> bool {
        self.seen.contains(&(at, mark))
    }

    pub fn note(&mut self, at: i64, mark: Mark) {
        self.seen.insert((at, mark));
    }

    /// Lets go of what is older than the window, of nothing at or after `unread`, and of the oldest beyond `max`.
    pub fn settle(&mut self, unread: Option<i64>, max: usize) {
        let Some((newest, _)) = self.seen.last().copied() else { return };
        let mut from = newest.saturating_sub(WINDOW_MS);
        if let Some(unread) = unread {
            from = from.min(unread);
        }
        from = from.max(self.from);
        if self.seen.len() > max {
            let over = self.seen.len() - max - 1;
            from = from.max(self.seen.iter().nth(over).map_or(from, |(at, _)| *at));
        }
        if from > self.from {
            self.seen = self.seen.split_off(&(from, Mark::MIN));
            self.from = from;
            self.skip = 0;
        }
        self.skip = self.counts().0;
    }

    /// The cursor for a reader that goes on from here; `None` when it would have to name too many events.
    pub fn cursor(&self) -> Option<LogCursor> {
        let later = self.seen.range((self.from + 1, Mark::MIN)..);
        let mut bytes = Vec::new();
        for (at, mark) in later {
            let after = u32::try_from(at - self.from).ok().filter(|after| *after < 1 << 24)?;
            bytes.extend(&after.to_be_bytes()[1..]);
            bytes.extend(mark.to_be_bytes());
        }
        if bytes.len() > SEEN_MAX * SEEN_BYTES {
            return None;
        }
        let skip = self.counts().0;
        Some(LogCursor(format!("{VERSION}.{}.{skip}.{}", self.from, URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// The cursor after letting go of as much as it takes.
    pub fn settled_cursor(&self, unread: Option<i64>) -> LogCursor {
        let mut window = self.clone();
        window.settle(unread, SEEN_MAX);
        loop {
            if let Some(cursor) = window.cursor() {
                return cursor;
            }
            // An unread event far behind: times in a cursor reach four hours.
            window.settle(None, window.seen.len() / 2);
        }
    }

    /// Reads a cursor; the second part is where a search through empty pages goes on.
    pub fn parse(cursor: &LogCursor) -> Result<(Self, Option<String>)> {
        Self::read_cursor(&cursor.0).ok_or(Error::Stale("the log cursor"))
    }

    fn read_cursor(raw: &str) -> Option<(Self, Option<String>)> {
        if raw.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let mut parts = raw.split('.');
        let (version, from, skip, seen) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let token = match parts.next() {
            Some(token) => Some(String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?),
            None => None,
        };
        let from: i64 = from.parse().ok()?;
        let skip = skip.parse().ok().filter(|skip| *skip <= i64::MAX as usize)?;
        let seen = URL_SAFE_NO_PAD.decode(seen).ok()?;
        let fits = version == VERSION && parts.next().is_none() && seen.len() % SEEN_BYTES == 0;
        if !fits || !(0..i64::MAX / 2).contains(&from) {
            return None;
        }
        let event = |bytes: &[u8]| {
            let at = from + i64::from(u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]));
            (at, Mark::from_be_bytes([bytes[3], bytes[4], bytes[5], bytes[6]]))
        };
        Some((Self { from, skip, seen: seen.chunks_exact(SEEN_BYTES).map(event).collect() }, token))
    }
}

/// Adds where a search goes on to a cursor.
pub(super) fn with_token(cursor: LogCursor, token: Option<&str>) -> LogCursor {
    match token {
        Some(token) => LogCursor(format!("{}.{}", cursor.0, URL_SAFE_NO_PAD.encode(token))),
        None => cursor,
    }
}

/// Takes what is new from the pages of one search, which begins at the window's `from`.
pub(super) struct Taking<'a> {
    window: &'a mut Window,
    names: Names,
    before: usize,
    /// Events at exactly `from` that went by.
    at_from: usize,
    limit: usize,
    bytes_max: usize,
    bytes: usize,
    fresh: Vec<LogRecord>,
    /// The time of the first event that was left.
    left: Option<i64>,
}

impl<'a> Taking<'a> {
    pub fn new(window: &'a mut Window, limit: usize, bytes_max: usize) -> Self {
        let (names, before) = (Names::default(), window.read());
        Self { window, names, before, at_from: 0, limit, bytes_max, bytes: 0, fresh: Vec::new(), left: None }
    }

    /// A page in the service's order.
    pub fn page(&mut self, mut events: Vec<RawEvent>) {
        events.sort_by_key(|event| (event.at, event.ingested));
        for event in events {
            let (id, mark) = self.names.name(&event);
            let counted = event.at == self.window.from && self.at_from < self.window.skip;
            self.at_from += usize::from(event.at == self.window.from);
            if counted || self.window.has(event.at, mark) {
                self.window.note(event.at, mark);
            } else if event.at >= self.window.from {
                let size = event.message.len();
                let full = self.fresh.len() >= self.limit || self.bytes + size > self.bytes_max;
                if self.left.is_some() || (full && !self.fresh.is_empty()) {
                    self.left = Some(self.left.unwrap_or(event.at).min(event.at));
                    continue;
                }
                self.bytes += size;
                self.window.note(event.at, mark);
                self.fresh.push(record(event, id));
            }
        }
    }

    /// How many events at or after the window's `from` were read before this search.
    pub fn read(&self) -> usize {
        self.before
    }

    pub fn has_some(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        self.left.is_some() || self.fresh.len() >= self.limit
    }

    /// What is new, and the time of the first event that was left, if one was.
    pub fn done(mut self) -> (Vec<LogRecord>, Option<i64>) {
        self.fresh.sort_by_key(|record| (record.at, record.ingested));
        (self.fresh, self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(at: i64, message: &str) -> RawEvent {
        RawEvent { stream: "s".into(), at, ingested: at, message: message.into() }
    }

    /// One read by a reader who comes with a cursor: what is new of the log, at most `limit`.
    fn read(cursor: Option<LogCursor>, log: &[RawEvent], limit: usize) -> (Vec<LogRecord>, LogCursor) {
        let mut window = cursor.map_or_else(Window::default, |cursor| Window::parse(&cursor).unwrap().0);
        let from = window.from;
        let mut taking = Taking::new(&mut window, limit, usize::MAX);
        taking.page(log.iter().filter(|event| event.at >= from).cloned().collect());
        let (records, unread) = taking.done();
        (records, window.settled_cursor(unread))
    }

    fn times(records: &[LogRecord]) -> Vec<i64> {
        records.iter().map(|record| record.at.0).collect()
    }

    #[test]
    fn pages_of_any_size_bring_each_event_once_and_in_order() {
        // Many of one millisecond, equal lines among them, more than a cursor can name.
        let mut log: Vec<RawEvent> = (0..1500).map(|n| raw(1_000 + n / 700, &(n % 3).to_string())).collect();
        log.extend((0..50).map(|n| raw(40_000 + n * 1_000, "x")));
        for limit in [1, 7, 399, 400, 401, 10_000] {
            let (mut cursor, mut all) = (None, Vec::new());
            loop {
                let (records, next) = read(cursor, &log, limit);
                assert!(records.len() <= limit && next.0.len() < 4096);
                if records.is_empty() {
                    break;
                }
                all.extend(records);
                cursor = Some(next);
            }
            assert_eq!(times(&all), log.iter().map(|event| event.at).collect::<Vec<_>>(), "{limit} at a time");
            let ids: std::collections::HashSet<_> = all.iter().map(|record| &record.id).collect();
            assert_eq!(ids.len(), log.len());
        }
    }

    #[test]
    fn a_late_event_is_found_within_the_window_and_not_beyond() {
        let mut log = vec![raw(100_000, "a"), raw(100_000, "b")];
        let (_, cursor) = read(None, &log, 10);
        log.insert(0, raw(100_000 - WINDOW_MS, "late"));
        log.push(raw(100_000, "b"));
        let (found, cursor) = read(Some(cursor), &log, 10);
        assert_eq!(times(&found), [100_000 - WINDOW_MS, 100_000]);
        log.insert(0, raw(100_000 - WINDOW_MS - 1, "too late"));
        assert!(read(Some(cursor), &log, 10).0.is_empty());
    }

    #[test]
    fn late_events_that_do_not_fit_into_a_page_come_with_the_next() {
        let (_, cursor) = read(None, &[raw(100_000, "young")], 10);
        let mut log: Vec<RawEvent> = (0..9).map(|n| raw(91_000 + n, "late")).collect();
        log.push(raw(100_000, "young"));
        // The young one moves the window; the late ones that are left must stay within it.
        log.push(raw(115_000, "younger"));
        let (mut cursor, mut found) = (cursor, Vec::new());
        for _ in 0..5 {
            let (records, next) = read(Some(cursor), &log, 2);
            found.extend(times(&records));
            cursor = next;
        }
        assert_eq!(found, [91_000, 91_001, 91_002, 91_003, 91_004, 91_005, 91_006, 91_007, 91_008, 115_000]);
    }

    #[test]
    fn an_id_is_the_same_however_it_is_read() {
        let log = [raw(5, "x"), raw(5, "x"), raw(5, "y")];
        let (whole, _) = read(None, &log, 10);
        let mut names = Names::default();
        let live: Vec<LogRecord> = log.iter().map(|event| record(event.clone(), names.name(event).0)).collect();
        assert_eq!(whole, live);
        assert_ne!(whole[0].id, whole[1].id);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let good = read(None, &[raw(5, "x"), raw(90, "y")], 10).1.0;
        assert!(Window::read_cursor(&good).is_some(), "{good}");
        let long = format!("w1.0.0.{}", "A".repeat(CURSOR_BYTES_MAX));
        let with_more = format!("{good}.AAAA.x");
        for bad in [
            "",
            "w1",
            "w1.0.0",
            "w0.0.0.",
            "w1.-1.0.",
            "w1.0.-1.",
            "w1.0.0.AA",
            "w1.0.0.!",
            "w1.9223372036854775807.0.",
            &long,
            &with_more,
        ] {
            assert!(Window::read_cursor(bad).is_none(), "{bad}");
        }
        let (_, token) = Window::read_cursor(&with_token(LogCursor(good), Some("next page")).0).unwrap();
        assert_eq!(token.as_deref(), Some("next page"));
    }
}
