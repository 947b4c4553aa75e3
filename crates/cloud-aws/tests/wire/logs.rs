//! `Logs` on CloudWatch Logs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Error, LogEvent, LogPage, LogQuery, LogRecord, LogTail, Logs, Millis, SystemClock};
use cloud_aws::LiveTail;
use testkit::conformance;
use testkit::emulator::Emulator;
use testkit::fault_proxy::{FaultProxy, Rule, WireFault};

use crate::cable::Cable;
use crate::{aws, fresh};

/// So long that a test would not see it.
const NEVER: Duration = Duration::from_secs(3600);
/// Reads that bring nothing, after which nothing more comes.
const IDLE_READS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_logs() {
    let emulator = Emulator::shared_ministack();
    conformance::logs(Arc::new(aws(emulator.endpoint()).logs())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises_of_logs() {
    let emulator = Emulator::shared_moto();
    conformance::logs_without_ties(Arc::new(aws(emulator.endpoint()).logs())).await;
}

fn now() -> Millis {
    SystemClock.now()
}

fn event(at: Millis, message: impl Into<String>) -> LogEvent {
    LogEvent { at, message: message.into() }
}

fn query(group: &str) -> LogQuery {
    LogQuery { group: group.into(), stream: None, start: None, cursor: None, limit: 1000, wait: Duration::ZERO }
}

fn messages(records: &[LogRecord]) -> Vec<&str> {
    records.iter().map(|record| record.message.as_str()).collect()
}

async fn group(logs: &dyn Logs) -> String {
    let group = fresh("/wire/logs");
    logs.ensure_group(&group, Some(7)).await.unwrap();
    group
}

async fn all(logs: &dyn Logs, group: &str) -> Vec<LogRecord> {
    logs.read(query(group)).await.unwrap().records
}

/// What a tail brings until so many records have come, or no more do; with whether it was said to be a sample.
async fn gather(tail: &mut dyn LogTail, count: usize) -> (Vec<LogRecord>, bool) {
    let (mut records, mut sampled, mut idle) = (Vec::new(), false, 0);
    while records.len() < count && idle < IDLE_READS {
        let update = tail.next(Duration::from_secs(5)).await.unwrap();
        idle = if update.page.records.is_empty() { idle + 1 } else { 0 };
        sampled |= update.sampled;
        records.extend(update.page.records);
    }
    (records, sampled)
}

fn once_each(records: &[LogRecord], count: usize) {
    let ids: HashSet<&str> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!((records.len(), ids.len()), (count, count), "{:?}", messages(records));
}

// --- failures

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_read_is_tried_again_and_then_unavailable() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let logs = aws(proxy.endpoint()).logs();
    let group = group(&logs).await;
    logs.append(&group, "s", vec![event(now(), "x")]).await.unwrap();
    let throttled = || Rule::new(WireFault::json(400, "ThrottlingException"));
    proxy.inject(throttled().when(|call| call.operation() == "FilterLogEvents").times(2));
    assert_eq!(messages(&all(&logs, &group).await), ["x"]);
    proxy.inject(throttled().when(|call| call.operation() == "FilterLogEvents").always());
    let before = proxy.calls(|call| call.operation() == "FilterLogEvents");
    let refused = logs.read(query(&group)).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(proxy.calls(|call| call.operation() == "FilterLogEvents") - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_append_is_tried_again_and_then_unavailable() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let logs = aws(proxy.endpoint()).logs();
    let group = group(&logs).await;
    let throttled = || Rule::new(WireFault::json(400, "ThrottlingException"));
    proxy.inject(throttled().when(|call| call.operation() == "PutLogEvents").times(2));
    logs.append(&group, "s", vec![event(now(), "x")]).await.unwrap();
    assert_eq!(messages(&all(&logs, &group).await), ["x"]);
    proxy.inject(throttled().when(|call| call.operation() == "PutLogEvents").always());
    let refused = logs.append(&group, "s", vec![event(now(), "y")]).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_is_there_once() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let logs = aws(proxy.endpoint()).logs();
    let group = group(&logs).await;
    logs.append(&group, "s", vec![event(now(), "first")]).await.unwrap();
    let puts = || proxy.calls(|call| call.operation() == "PutLogEvents");
    for (fault, sent) in [(WireFault::LoseAnswer, 1), (WireFault::LoseCall, 2)] {
        let before = puts();
        proxy.inject(Rule::new(fault.clone()).when(|call| call.operation() == "PutLogEvents"));
        let batch = vec![event(now(), "twin"), event(now(), "twin"), event(now(), format!("{fault:?}"))];
        logs.append(&group, "s", batch).await.unwrap();
        assert_eq!(puts() - before, sent, "{fault:?}");
    }
    let expected = ["first", "twin", "twin", "LoseAnswer", "twin", "twin", "LoseCall"];
    assert_eq!(messages(&all(&logs, &group).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_named() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    proxy.inject(Rule::new(WireFault::json(400, "ExpiredTokenException")).always());
    let logs = aws(proxy.endpoint()).logs();
    let read = logs.read(query("/a")).await.unwrap_err();
    let written = logs.append("/a", "s", vec![event(now(), "x")]).await.unwrap_err();
    for refused in [read, written] {
        assert!(refused.to_string().contains("the credentials have expired"), "{refused}");
    }
    assert_eq!(proxy.calls(|_| true), 2, "expired credentials are not tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_write_a_new_stream_at_once_both_succeed() {
    let emulator = Emulator::shared_ministack();
    let logs: Arc<dyn Logs> = Arc::new(aws(emulator.endpoint()).logs());
    let name = fresh("/wire/race");
    let writers = (0..6).map(|number| {
        let (logs, name) = (logs.clone(), name.clone());
        async move {
            logs.ensure_group(&name, Some(7)).await.unwrap();
            logs.append(&name, "new", vec![event(now(), number.to_string())]).await.unwrap();
        }
    });
    futures::future::join_all(writers).await;
    assert_eq!(all(&*logs, &name).await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_more_than_a_day_are_appended_in_parts() {
    const DAY: i64 = 24 * 60 * 60 * 1000;
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let logs = aws(proxy.endpoint()).logs();
    let group = group(&logs).await;
    let at = |days: i64| Millis(now().0 - days * DAY);
    let events = vec![event(at(0), "new"), event(at(3), "old"), event(at(2), "middle"), event(at(0), "")];
    logs.append(&group, "s", events).await.unwrap();
    assert_eq!(messages(&all(&logs, &group).await), ["old", "middle", "new", " "]);
    // The first of the puts found no stream.
    assert_eq!(proxy.calls(|call| call.operation() == "PutLogEvents"), 4);
}

/// As the service documents it; what a stranger says of rejected events is another thing.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_service_does_not_keep_are_told() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let logs = aws(proxy.endpoint()).logs();
    let group = group(&logs).await;
    let info = r#"{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1,"tooNewLogEventStartIndex":2}}"#;
    let headers = vec![("content-type".into(), "application/x-amz-json-1.1".into())];
    let answer = WireFault::Answer { status: 200, headers, body: info.into() };
    proxy.inject(Rule::new(answer).when(|call| call.operation() == "PutLogEvents"));
    let events = vec![event(now(), "a"), event(now(), "b"), event(now(), "c"), event(now(), "d")];
    let told = logs.append(&group, "s", events).await.unwrap_err();
    assert!(matches!(told, Error::Invalid(_)), "{told:?}");
    let expected = "3 of 4 log events were not kept, the others were: 1 are older than 14 days, 0 older than the group \
                    keeps them, 2 more than two hours ahead";
    assert_eq!(told.to_string(), expected);
}

// --- cursors

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_and_a_group_give_the_same_events_by_pages_of_any_size() {
    let emulator = Emulator::shared_ministack();
    let logs = aws(emulator.endpoint()).logs();
    let group = group(&logs).await;
    let at = now();
    let events: Vec<_> = (0..900).map(|number| event(Millis(at.0 + number / 300), format!("{}", number % 7))).collect();
    logs.append(&group, "s", events.clone()).await.unwrap();
    let whole = all(&logs, &group).await;
    once_each(&whole, 900);
    for stream in [None, Some("s".to_owned())] {
        for limit in [250, 1000] {
            let (mut read, mut cursor) = (Vec::new(), None);
            loop {
                let asked = LogQuery { stream: stream.clone(), limit, cursor, ..query(&group) };
                let page: LogPage = logs.read(asked).await.unwrap();
                assert!(page.next.0.len() < 4096, "a cursor of {} bytes", page.next.0.len());
                if page.records.is_empty() {
                    break;
                }
                read.extend(page.records);
                cursor = Some(page.next);
            }
            assert_eq!(read.len(), whole.len(), "{stream:?} by {limit}");
            assert!(read == whole, "{stream:?} by {limit}: other events, or another order");
        }
    }
}

// --- followed logs

fn followed(endpoint: &str, renew_after: Duration, read_every: Duration) -> cloud_aws::CloudWatchLogs {
    aws(endpoint).logs_with(LiveTail { renew_after, read_every, ..LiveTail::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_log_comes_live_and_its_session_ends_with_the_reader() {
    let emulator = Emulator::shared_ministack();
    let cable = Cable::to(emulator.endpoint()).await;
    // Reads are so far apart that what comes after the first came live.
    let logs = followed(cable.endpoint(), NEVER, NEVER);
    let group = group(&logs).await;
    logs.append(&group, "a", vec![event(now(), "before")]).await.unwrap();
    let mut tail = logs.follow(query(&group)).await.unwrap().unwrap();
    assert_eq!(cable.begun(), 0, "nobody has asked for anything");
    assert_eq!(messages(&gather(&mut *tail, 1).await.0), ["before"]);
    let following = tokio::spawn(async move {
        let told = gather(&mut *tail, 41).await;
        (tail, told)
    });
    cable.until_open(1).await;
    // The read that follows the start of a session is over when this comes.
    for number in 0..=40 {
        logs.append(&group, &format!("s{}", number % 3), vec![event(now(), number.to_string())]).await.unwrap();
    }
    let (mut tail, (told, sampled)) = following.await.unwrap();
    once_each(&told, 41);
    assert!(!sampled);
    let page = tail.rest(Duration::ZERO).await.unwrap();
    assert!(page.records.is_empty(), "read again: {:?}", messages(&page.records));
    let stored: HashSet<String> = all(&logs, &group).await.into_iter().map(|record| record.id).collect();
    assert!(told.iter().all(|record| stored.contains(&record.id)), "an event has another id when it is read");
    let on = logs.read(LogQuery { cursor: Some(page.next), ..query(&group) }).await.unwrap();
    assert!(on.records.is_empty(), "the cursor repeats {:?}", messages(&on.records));
    assert_eq!((cable.begun(), cable.open()), (1, 1));
    drop(tail);
    cable.until_open(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_breaks_is_replaced_and_nothing_is_lost_or_repeated() {
    let emulator = Emulator::shared_ministack();
    let cable = Cable::to(emulator.endpoint()).await;
    let logs = Arc::new(followed(cable.endpoint(), NEVER, NEVER));
    let group = group(&*logs).await;
    let mut tail = logs.follow(LogQuery { stream: Some("s".into()), ..query(&group) }).await.unwrap().unwrap();
    let following = tokio::spawn(async move { gather(&mut *tail, 60).await.0 });
    for round in 0..3 {
        cable.until_begun(round + 1).await;
        for number in 0..20 {
            logs.append(&group, "s", vec![event(now(), format!("{round}:{number}"))]).await.unwrap();
            if number == 10 && round < 2 {
                cable.cut();
            }
        }
        logs.append(&group, "other", vec![event(now(), "not followed")]).await.unwrap();
    }
    let told = following.await.unwrap();
    once_each(&told, 60);
    assert!(told.iter().all(|record| record.stream == "s"));
    assert!(cable.begun() >= 3, "{}", cable.begun());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_replaced_before_the_service_ends_it() {
    let emulator = Emulator::shared_ministack();
    let cable = Cable::to(emulator.endpoint()).await;
    let logs = Arc::new(followed(cable.endpoint(), Duration::from_millis(400), NEVER));
    let group = group(&*logs).await;
    let mut tail = logs.follow(query(&group)).await.unwrap().unwrap();
    let following = tokio::spawn(async move { gather(&mut *tail, 100).await.0 });
    let mut written = 0;
    while written < 100 {
        logs.append(&group, "s", vec![event(now(), written.to_string())]).await.unwrap();
        written += 1;
        if written % 30 == 0 {
            let begun = cable.begun();
            while cable.begun() == begun {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    once_each(&following.await.unwrap(), 100);
    assert!(cable.begun() >= 3, "{}", cable.begun());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_told_as_one_and_what_is_missing_comes_later() {
    const EVENTS: usize = 130;
    let emulator = Emulator::shared_ministack();
    let cable = Cable::to(emulator.endpoint()).await;
    // However long the client is held, the session is not taken for broken.
    let patient = LiveTail { renew_after: NEVER, read_every: NEVER, silence_max: NEVER };
    let logs = Arc::new(aws(cable.endpoint()).logs_with(patient));
    let group = group(&*logs).await;
    let mut tail = logs.follow(query(&group)).await.unwrap().unwrap();
    let following = tokio::spawn(async move { gather(&mut *tail, EVENTS).await });
    cable.until_open(1).await;
    // A client that is too slow: the service drops the oldest of what waits, and says so.
    cable.hold(true);
    let large = "x".repeat(220_000);
    for number in 0..EVENTS {
        logs.append(&group, "s", vec![event(now(), format!("{number} {large}"))]).await.unwrap();
    }
    cable.hold(false);
    let (told, sampled) = following.await.unwrap();
    let ids: HashSet<&str> = told.iter().map(|record| record.id.as_str()).collect();
    assert_eq!((told.len(), ids.len()), (EVENTS, EVENTS));
    assert!(sampled, "nothing was said of a sample");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_a_log_is_followed_by_reads() {
    let emulator = Emulator::shared_ministack();
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let refused = Rule::new(WireFault::json(400, "LimitExceededException"));
    proxy.inject(refused.when(|call| call.operation() == "StartLiveTail").always());
    let logs = Arc::new(followed(proxy.endpoint(), NEVER, NEVER));
    let group = group(&*logs).await;
    let mut tail = logs.follow(query(&group)).await.unwrap().unwrap();
    for round in 0..3 {
        let events = (0..5).map(|number| event(now(), format!("{round}:{number}"))).collect();
        logs.append(&group, "s", events).await.unwrap();
        once_each(&gather(&mut *tail, 5).await.0, 5);
    }
    let asked = proxy.calls(|call| call.operation() == "StartLiveTail");
    assert_eq!(asked, 1, "a quota that is used up is not asked for at once again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_whose_live_tails_end_at_once_is_followed_by_reads() {
    let emulator = Emulator::shared_moto();
    let logs = aws(emulator.endpoint()).logs();
    let group = group(&logs).await;
    let mut tail = logs.follow(query(&group)).await.unwrap().unwrap();
    logs.append(&group, "s", vec![event(now(), "one"), event(now(), "two")]).await.unwrap();
    assert_eq!(messages(&gather(&mut *tail, 2).await.0), ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_followed_group_that_is_not_there_yet_is_not_found_and_then_followed() {
    let emulator = Emulator::shared_ministack();
    let logs = aws(emulator.endpoint()).logs();
    let name = fresh("/wire/later");
    let mut tail = logs.follow(query(&name)).await.unwrap().unwrap();
    let missing = tail.next(Duration::ZERO).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)), "{missing:?}");
    logs.ensure_group(&name, None).await.unwrap();
    logs.append(&name, "s", vec![event(now(), "here")]).await.unwrap();
    assert_eq!(messages(&gather(&mut *tail, 1).await.0), ["here"]);
}
