//! `Logs`.

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::{LOG_BATCH_EVENTS_MAX, LOG_EVENT_MAX};
use cloud::{Clock, LogCursor, LogEvent, LogPage, LogQuery, Logs, Millis, SystemClock};

use super::{absent, fresh, invalid, ok, too_large};

/// Longer than any service takes to show what was appended.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest that a reader may ask to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Events of the test that reads while others write.
const WRITERS: usize = 4;
const EVENTS_EACH: usize = 50;

/// In which order events of one millisecond come that were written to several streams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ties {
    ByArrival,
    /// In no order between streams: a stranger's, known to be wrong (`docs/emulators.md`).
    ByStream,
}

/// Everything that `Logs` promises.
pub async fn logs(adapter: Arc<dyn Logs>) {
    suite(adapter, Ties::ByArrival).await;
}

/// All but the order between streams within a millisecond, for services that do not keep it.
pub async fn logs_without_ties(adapter: Arc<dyn Logs>) {
    suite(adapter, Ties::ByStream).await;
}

async fn suite(adapter: Arc<dyn Logs>, ties: Ties) {
    let root = fresh("/logs");
    what_is_appended_is_read_in_order(&*adapter, &root, ties).await;
    an_event_from_the_past_is_read_once(&*adapter, &root).await;
    a_start_time_holds_for_every_page(&*adapter, &root).await;
    a_reader_beside_writers_misses_and_repeats_nothing(&adapter, &root).await;
    a_waiting_reader_is_woken(&adapter, &root).await;
    groups_and_streams_are_listed_by_name(&*adapter, &root).await;
    a_deleted_group_is_gone(&*adapter, &root).await;
    limits_are_kept(&*adapter, &root).await;
}

fn events(at: Millis, messages: &[&str]) -> Vec<LogEvent> {
    messages.iter().map(|message| LogEvent { at, message: (*message).into() }).collect()
}

fn query(group: &str) -> LogQuery {
    LogQuery { group: group.into(), stream: None, start: None, cursor: None, limit: 1000, wait: Duration::ZERO }
}

fn on(group: &str, cursor: &LogCursor) -> LogQuery {
    LogQuery { cursor: Some(cursor.clone()), ..query(group) }
}

fn messages(page: &LogPage) -> Vec<&str> {
    page.records.iter().map(|record| record.message.as_str()).collect()
}

/// Reads until `count` events have come.
async fn gather(adapter: &dyn Logs, mut query: LogQuery, count: usize) -> (Vec<cloud::LogRecord>, LogCursor) {
    let mut found = Vec::new();
    query.wait = PATIENCE;
    loop {
        let page = ok(adapter.read(query.clone()).await);
        let ended = page.records.is_empty();
        assert!(page.records.len() <= query.limit, "a page has more than was asked for");
        found.extend(page.records);
        if found.len() >= count || ended {
            assert_eq!(found.len(), count, "{count} events were expected");
            return (found, page.next);
        }
        query.cursor = Some(page.next);
    }
}

async fn what_is_appended_is_read_in_order(adapter: &dyn Logs, root: &str, ties: Ties) {
    let group = format!("{root}/order");
    let now = SystemClock.now();
    absent(adapter.read(query(&group)).await, "a group nobody made");
    absent(adapter.append(&group, "a", events(now, &["x"])).await, "the group of an append");
    ok(adapter.ensure_group(&group, None).await);
    ok(adapter.ensure_group(&group, Some(7)).await);
    let empty = ok(adapter.read(query(&group)).await);
    assert!(empty.records.is_empty());
    let stream = "2026/01/02/[$LATEST]0a";
    ok(adapter.append(&group, stream, events(now, &["one ü", "two\twith\ttabs"])).await);
    ok(adapter.append(&group, "b", events(now, &["three"])).await);
    ok(adapter.append(&group, stream, events(now, &["four"])).await);
    let expected = ["one ü", "two\twith\ttabs", "three", "four"];
    for limit in [1, 3, 1000] {
        let (mut found, next) = gather(adapter, LogQuery { limit, ..query(&group) }, 4).await;
        if ties == Ties::ByStream {
            let (mut own, mut other): (Vec<_>, Vec<_>) = found.into_iter().partition(|record| record.stream == stream);
            own.splice(2..2, other.drain(..));
            found = own;
        }
        let read: Vec<_> = found.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(read, expected, "{limit} at a time");
        let rest = ok(adapter.read(on(&group, &next)).await);
        assert!(rest.records.is_empty(), "an event came twice: {:?}", messages(&rest));
        let distinct: std::collections::HashSet<_> = found.iter().map(|record| &record.id).collect();
        assert_eq!(distinct.len(), 4, "ids are not unique");
        assert!(found.iter().all(|record| record.at == now && record.ingested.0 >= now.0 - 60_000));
    }
    let (of_stream, _) = gather(adapter, LogQuery { stream: Some(stream.into()), ..query(&group) }, 3).await;
    assert!(of_stream.iter().all(|record| record.stream == stream));
    let of_none = LogQuery { stream: Some("none".into()), ..query(&group) };
    assert!(ok(adapter.read(of_none).await).records.is_empty(), "a stream that nobody wrote to is empty");
    let (after_empty, _) = gather(adapter, on(&group, &empty.next), 4).await;
    assert_eq!(after_empty.len(), 4, "a cursor from an empty group leads to what came later");
    let foreign = LogCursor("not a cursor \u{1F600}".into());
    match adapter.read(on(&group, &foreign)).await {
        Err(cloud::Error::Invalid(_) | cloud::Error::Stale(_)) => {}
        other => panic!("a foreign cursor got {other:?}"),
    }
}

/// Events that arrive after younger ones, of another stream and of the same, and of the very millisecond that was read.
async fn an_event_from_the_past_is_read_once(adapter: &dyn Logs, root: &str) {
    let group = format!("{root}/late");
    let now = SystemClock.now();
    let before = |seconds: i64| Millis(now.0 - seconds * 1000);
    ok(adapter.ensure_group(&group, None).await);
    ok(adapter.append(&group, "a", events(now, &["young", "young"])).await);
    let (_, mut next) = gather(adapter, query(&group), 2).await;
    for (stream, at, message) in [
        ("b", before(3), "late"),
        ("a", before(2), "late"),
        ("a", now, "young"),
        ("b", now, "young"),
        ("b", before(1), "last"),
    ] {
        ok(adapter.append(&group, stream, events(at, &[message])).await);
        let (found, on) = gather(adapter, on(&group, &next), 1).await;
        assert_eq!((found[0].stream.as_str(), found[0].at, found[0].message.as_str()), (stream, at, message));
        next = on;
    }
    let rest = ok(adapter.read(on(&group, &next)).await);
    assert!(rest.records.is_empty(), "an event came twice: {:?}", messages(&rest));
}

async fn a_start_time_holds_for_every_page(adapter: &dyn Logs, root: &str) {
    let group = format!("{root}/start");
    let now = SystemClock.now();
    let at = |seconds: i64| Millis(now.0 - 60_000 + seconds * 1000);
    ok(adapter.ensure_group(&group, None).await);
    for second in 0..6 {
        ok(adapter.append(&group, "s", events(at(second), &[&format!("{second}")])).await);
    }
    let from = LogQuery { start: Some(at(2)), limit: 2, ..query(&group) };
    let (found, _) = gather(adapter, from, 4).await;
    assert_eq!(found.iter().map(|record| record.message.as_str()).collect::<Vec<_>>(), ["2", "3", "4", "5"]);
    let late = LogQuery { start: Some(Millis(now.0 + 60_000)), ..query(&group) };
    assert!(ok(adapter.read(late).await).records.is_empty());
}

async fn a_reader_beside_writers_misses_and_repeats_nothing(adapter: &Arc<dyn Logs>, root: &str) {
    let group = format!("{root}/beside");
    ok(adapter.ensure_group(&group, None).await);
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (adapter, group) = (adapter.clone(), group.clone());
            tokio::spawn(async move {
                for number in 0..EVENTS_EACH {
                    let text = format!("{writer}:{number}");
                    ok(adapter.append(&group, &format!("s{writer}"), events(SystemClock.now(), &[&text])).await);
                }
            })
        })
        .collect();
    let (found, _) = gather(&**adapter, LogQuery { limit: 7, ..query(&group) }, WRITERS * EVENTS_EACH).await;
    for task in tasks {
        task.await.expect("a writer panicked");
    }
    for writer in 0..WRITERS {
        let stream = format!("s{writer}");
        let read: Vec<_> =
            found.iter().filter(|record| record.stream == stream).map(|record| record.message.clone()).collect();
        let written: Vec<_> = (0..EVENTS_EACH).map(|number| format!("{writer}:{number}")).collect();
        assert_eq!(read, written, "stream {stream}");
    }
}

async fn a_waiting_reader_is_woken(adapter: &Arc<dyn Logs>, root: &str) {
    let group = format!("{root}/wake");
    ok(adapter.ensure_group(&group, None).await);
    let (reader, waiting) = (adapter.clone(), LogQuery { wait: LONGEST_WAIT, ..query(&group) });
    let waiting = tokio::spawn(async move { tokio::time::timeout(PATIENCE, reader.read(waiting)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    ok(adapter.append(&group, "s", events(SystemClock.now(), &["wake"])).await);
    let answered = waiting.await.expect("the reader panicked");
    let page = ok(answered.expect("a waiting reader was not woken by an event"));
    assert_eq!(messages(&page), ["wake"]);
}

async fn groups_and_streams_are_listed_by_name(adapter: &dyn Logs, root: &str) {
    let groups: Vec<String> = ["a", "b", "c"].iter().map(|name| format!("{root}/list/{name}")).collect();
    for group in groups.iter().rev() {
        ok(adapter.ensure_group(group, None).await);
    }
    ok(adapter.ensure_group(&format!("{root}/listless"), None).await);
    let prefix = format!("{root}/list/");
    assert_eq!(ok(adapter.groups(&prefix, None, 100).await), groups);
    assert_eq!(ok(adapter.groups(&prefix, None, 2).await), groups[..2]);
    assert_eq!(ok(adapter.groups(&prefix, Some(&groups[0]), 100).await), groups[1..]);
    let now = SystemClock.now();
    for stream in ["s2", "s1", "s3"] {
        ok(adapter.append(&groups[0], stream, events(now, &["x", "y"])).await);
    }
    let streams = ok(adapter.streams(&groups[0], None, 100).await);
    assert_eq!(streams.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["s1", "s2", "s3"]);
    assert!(streams.iter().all(|stream| stream.first == Some(now)), "the first event's time: {streams:?}");
    let rest = ok(adapter.streams(&groups[0], Some("s1"), 1).await);
    assert_eq!(rest.iter().map(|stream| stream.name.as_str()).collect::<Vec<_>>(), ["s2"]);
    absent(adapter.streams(&format!("{root}/list/none"), None, 10).await, "the group of a list of streams");
}

async fn a_deleted_group_is_gone(adapter: &dyn Logs, root: &str) {
    let group = format!("{root}/gone");
    ok(adapter.ensure_group(&group, None).await);
    ok(adapter.append(&group, "s", events(SystemClock.now(), &["old"])).await);
    ok(adapter.delete_group(&group).await);
    absent(adapter.read(query(&group)).await, "a deleted group");
    assert!(ok(adapter.groups(&group, None, 10).await).is_empty());
    ok(adapter.ensure_group(&group, None).await);
    ok(adapter.append(&group, "s", events(SystemClock.now(), &["new"])).await);
    let (found, _) = gather(adapter, query(&group), 1).await;
    assert_eq!(found[0].message, "new", "a group made anew shows what it held before");
}

async fn limits_are_kept(adapter: &dyn Logs, root: &str) {
    let group = format!("{root}/limits");
    let now = SystemClock.now();
    ok(adapter.ensure_group(&group, None).await);
    let large = "x".repeat(LOG_EVENT_MAX - 26);
    too_large(adapter.append(&group, "s", events(now, &[&"x".repeat(LOG_EVENT_MAX + 1)])).await, "an event");
    too_large(adapter.append(&group, "s", events(now, &[large.as_str(); 5])).await, "a batch");
    invalid(adapter.append(&group, "s", events(now, &["x"; LOG_BATCH_EVENTS_MAX + 1])).await, "10,001 events");
    invalid(adapter.append(&group, "a:b", events(now, &["x"])).await, "a stream name with a colon");
    invalid(adapter.ensure_group(&format!("{group} b"), None).await, "a group name with a space");
    for limit in [0, 10_001] {
        invalid(adapter.read(LogQuery { limit, ..query(&group) }).await, "a page size");
    }
    assert!(ok(adapter.read(query(&group)).await).records.is_empty(), "a refused batch left something");
    ok(adapter.append(&group, "s", events(now, &[large.as_str(); 4])).await);
    let (found, _) = gather(adapter, query(&group), 4).await;
    assert!(found.iter().all(|record| record.message == large));
}
