//! `EventBus` on EventBridge: a rule of a stranger's bus hands the events to a queue.

use std::time::Duration;

use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::types::QueueAttributeName;
use bytes::Bytes;
use cloud::limits::BUS_EVENT_MAX;
use cloud::{BusEvent, Error, EventBus, Millis, Published};
use serde_json::{Value, json};
use testkit::conformance::Except;
use testkit::emulator::Emulator;
use testkit::{FaultProxy, Rule, WireCall, WireFault};

use crate::{aws, config, fresh};

/// A bus with one rule, and the queue that the rule feeds.
struct Subscribed {
    bus: String,
    queue: cloud_aws::SqsQueue,
}

async fn subscribe(endpoint: &str, pattern: &Value) -> Subscribed {
    let (events, queues) = (Client::new(&config(endpoint)), aws_sdk_sqs::Client::new(&config(endpoint)));
    let (bus, name) = (fresh("bus"), fresh("subscriber"));
    events.create_event_bus().name(&bus).send().await.unwrap();
    let made = queues.create_queue().queue_name(&name).send().await.unwrap();
    let url = made.queue_url().unwrap().to_owned();
    let asked = queues.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
    let arn = asked.send().await.unwrap().attributes().unwrap()[&QueueAttributeName::QueueArn].clone();
    let rule = events.put_rule().name("all").event_bus_name(&bus).event_pattern(pattern.to_string());
    rule.send().await.unwrap();
    let target = Target::builder().id("queue").arn(arn).build().unwrap();
    events.put_targets().rule("all").event_bus_name(&bus).targets(target).send().await.unwrap();
    Subscribed { bus, queue: aws(endpoint).queue(url) }
}

fn event(kind: &str, number: usize) -> BusEvent {
    BusEvent {
        source: "workroom".into(),
        kind: kind.into(),
        time: Millis(1_700_000_000_123),
        resources: vec!["project/01P".into(), "branch/main".into()],
        detail: json!({ "id": number, "type": kind, "project": "01P", "idempotency_token": "t-1" }),
    }
}

/// Everything that reached the subscriber, until `count` are there or nothing more comes.
async fn received(queue: &dyn cloud::Queue, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    while found.len() < count {
        let batch = queue.receive(10, Duration::from_secs(60), Duration::from_secs(2)).await.unwrap();
        if batch.is_empty() {
            break;
        }
        found.extend(batch.iter().map(|message| serde_json::from_str::<Value>(&message.body).unwrap()));
    }
    found
}

/// When an event happened, not when it arrived.
const KEEPS_ITS_TIME: &str = "an event keeps its time";

async fn what_is_published_reaches_who_subscribed(endpoint: &str, except: Except) {
    let subscribed = subscribe(endpoint, &json!({ "source": ["workroom"], "detail-type": ["git.pushed"] })).await;
    let bus = aws(endpoint).event_bus(&subscribed.bus);
    let events: Vec<_> = (0..23).map(|n| event(if n % 2 == 0 { "git.pushed" } else { "job.updated" }, n)).collect();
    assert_eq!(bus.publish(&events).await.unwrap(), vec![Published::Taken; 23]);
    let mut told = received(&subscribed.queue, 12).await;
    told.sort_by_key(|event| event["detail"]["id"].as_u64());
    assert_eq!(told.len(), 12, "{told:?}");
    for (place, envelope) in told.iter().enumerate() {
        assert_eq!(envelope["detail"], event("git.pushed", place * 2).detail);
        assert_eq!(
            (&envelope["source"], &envelope["detail-type"], &envelope["resources"]),
            (&json!("workroom"), &json!("git.pushed"), &json!(["project/01P", "branch/main"]))
        );
        if !except.leaves_out(KEEPS_ITS_TIME) {
            assert!(envelope["time"].as_str().unwrap().starts_with("2023-11-14T22:13:20"), "{envelope}");
        }
    }
    except.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_hands_events_to_subscribers() {
    let except = Except::of("ministack", &[(KEEPS_ITS_TIME, "it tells the time of arrival")]);
    what_is_published_reaches_who_subscribed(Emulator::shared_ministack().endpoint(), except).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_hands_events_to_subscribers() {
    what_is_published_reaches_who_subscribed(Emulator::shared_moto().endpoint(), Except::nothing()).await;
}

fn puts(call: &WireCall) -> bool {
    call.operation() == "PutEvents"
}

/// The ids of the events in each call of `PutEvents`.
fn sent(proxy: &FaultProxy) -> Vec<Vec<u64>> {
    let ids = |call: &WireCall| {
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        let entries = body["Entries"].as_array().unwrap().clone();
        let detail = |entry: &Value| serde_json::from_str::<Value>(entry["Detail"].as_str().unwrap()).unwrap();
        entries.iter().map(|entry| detail(entry)["id"].as_u64().unwrap()).collect()
    };
    proxy.seen().iter().filter(|call| puts(call)).map(ids).collect()
}

/// An answer that takes an event where there is no code.
fn partly(codes: &[Option<&str>]) -> WireFault {
    let entries: Vec<Value> = codes
        .iter()
        .map(|code| match code {
            Some(code) => json!({ "ErrorCode": code, "ErrorMessage": "injected" }),
            None => json!({ "EventId": "11710aed-b79e-4468-a20b-bb3c0c3b4860" }),
        })
        .collect();
    let body = json!({ "FailedEntryCount": codes.iter().flatten().count(), "Entries": entries });
    let headers = vec![("content-type".to_owned(), "application/x-amz-json-1.1".to_owned())];
    WireFault::Answer { status: 200, headers, body: Bytes::from(body.to_string()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_was_refused_for_want_of_capacity_is_sent_again() {
    let emulator = Emulator::shared_ministack();
    let subscribed = subscribe(emulator.endpoint(), &json!({ "source": ["workroom"] })).await;
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let bus = aws(proxy.endpoint()).event_bus(&subscribed.bus);
    let events: Vec<_> = (0..3).map(|number| event("git.pushed", number)).collect();
    proxy.inject(Rule::new(partly(&[None, Some("ThrottlingException"), Some("InternalFailure")])).when(puts));
    assert_eq!(bus.publish(&events).await.unwrap(), vec![Published::Taken; 3]);
    assert_eq!(sent(&proxy), [vec![0, 1, 2], vec![1, 2]]);
    assert_eq!(received(&subscribed.queue, 2).await.len(), 2);

    proxy.heal();
    proxy.inject(Rule::new(partly(&[Some("NotAuthorizedForSourceException"), None])).when(puts));
    let outcomes = bus.publish(&events[..2]).await.unwrap();
    assert!(matches!(&outcomes[0], Published::Refused(why) if why.contains("NotAuthorizedForSource")), "{outcomes:?}");
    assert_eq!((&outcomes[1], sent(&proxy).len()), (&Published::Taken, 1));

    proxy.heal();
    proxy.inject(Rule::new(partly(&[Some("ThrottlingException")])).when(puts).always());
    let outcomes = bus.publish(&events[..1]).await.unwrap();
    assert!(matches!(&outcomes[0], Published::Refused(why) if why.contains("Throttling")), "{outcomes:?}");
    assert_eq!(sent(&proxy).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_does_not_answer_is_an_error() {
    let emulator = Emulator::shared_ministack();
    let subscribed = subscribe(emulator.endpoint(), &json!({ "source": ["workroom"] })).await;
    let proxy = FaultProxy::start(emulator.endpoint()).await;
    let bus = aws(proxy.endpoint()).event_bus(&subscribed.bus);
    proxy.inject(Rule::new(WireFault::json(400, "ThrottlingException")).always());
    assert!(matches!(bus.publish(&[event("a", 1)]).await, Err(Error::Unavailable(_))));
    proxy.heal();
    proxy.inject(Rule::new(WireFault::json(400, "ExpiredTokenException")).always());
    let refused = bus.publish(&[event("a", 1)]).await.unwrap_err();
    assert!(matches!(&refused, Error::Other { context, .. } if context.contains("have expired")), "{refused:?}");
    proxy.heal();
    // Once whole, then its answer is lost: it comes twice, and consumers know the id.
    proxy.inject(Rule::new(WireFault::LoseAnswer).when(puts));
    assert_eq!(bus.publish(&[event("a", 7)]).await.unwrap(), [Published::Taken]);
    let told = received(&subscribed.queue, 2).await;
    assert!(told.len() == 2 && told.iter().all(|event| event["detail"]["id"] == 7), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_is_refused_before_it_is_sent() {
    let proxy = FaultProxy::start("http://127.0.0.1:9").await;
    let bus = aws(proxy.endpoint()).event_bus("bus");
    let large = BusEvent { detail: json!("x".repeat(BUS_EVENT_MAX)), ..event("a", 1) };
    let refused = bus.publish(&[event("a", 1), large]).await.unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused:?}");
    assert_eq!(proxy.calls(|_| true), 0);
}
