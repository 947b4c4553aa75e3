//! Queue and stream sources over the local store: what is acknowledged, what comes again, in which order.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cloud::{Expect, Queue, RecordKey, Records, SendMessage, SystemClock, SystemEntropy};
use cloud_local::{QueueSettings, Store, StoreSettings};
use local::events::{QueueSource, StreamSource};
use local::functions::{Functions, InvokeError};
use local::sources::{DeadLetters, QueuePoll, StartAt, StreamPoll};
use sam::Filters;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The answer to an event, by how many there were.
type Answer = dyn Fn(usize, &Value) -> Result<Value, InvokeError> + Send + Sync;

/// Answers with what the test says, and keeps the events.
struct Script {
    events: Mutex<Vec<Value>>,
    answer: Box<Answer>,
}

#[async_trait::async_trait]
impl Functions for Script {
    async fn invoke(&self, _: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        let mut events = self.events.lock().unwrap();
        events.push(event.clone());
        (self.answer)(events.len(), &event).map(|answer| answer.to_string().into())
    }
}

impl Script {
    fn new(answer: impl Fn(usize, &Value) -> Result<Value, InvokeError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { events: Mutex::default(), answer: Box::new(answer) })
    }

    fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    let data = folder.path().to_owned();
    Store::open(StoreSettings { data, clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }).unwrap()
}

async fn until(mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..2_000 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not happen");
}

fn queue_poll(queue: Arc<dyn Queue>, script: &Arc<Script>) -> QueuePoll {
    QueuePoll {
        queue,
        source: QueueSource { arn: "arn:aws:sqs:r:0:jobs".into(), region: "r".into() },
        function: "Worker".into(),
        functions: Arc::clone(script) as Arc<dyn Functions>,
        batch: 10,
        visibility: Duration::from_millis(50),
        reported: true,
        concurrency: 2,
        clock: Arc::new(SystemClock),
    }
}

#[tokio::test]
async fn handled_messages_go_and_failed_ones_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let queue = store(&folder).queue("jobs", QueueSettings { receives_max: 10 });
    let script = Script::new(|_, event| {
        let failed = event["Records"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record["body"] == "twice" && record["attributes"]["ApproximateReceiveCount"] == "1");
        let failures: Vec<_> = failed.map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
        Ok(json!({ "batchItemFailures": failures }))
    });
    for body in ["once", "twice"] {
        queue.send(SendMessage { body: body.into(), delay: Duration::ZERO }).await.unwrap();
    }
    let stop = CancellationToken::new();
    let polling = tokio::spawn(queue_poll(Arc::new(queue.clone()), &script).run(stop.clone()));
    until(async || {
        let counts = queue.counts().await.unwrap();
        counts.visible + counts.leased + counts.delayed == 0
    })
    .await;
    stop.cancel();
    polling.await.unwrap();
    let events = script.events.lock().unwrap();
    let bodies: Vec<_> =
        events.iter().flat_map(|event| event["Records"].as_array().unwrap()).map(|r| &r["body"]).collect();
    assert_eq!(bodies.iter().filter(|body| **body == "once").count(), 1);
    assert_eq!(bodies.iter().filter(|body| **body == "twice").count(), 2);
}

#[tokio::test]
async fn a_message_that_always_fails_becomes_a_dead_letter() {
    let folder = tempfile::tempdir().unwrap();
    let queue = store(&folder).queue("jobs", QueueSettings { receives_max: 2 });
    let script = Script::new(|_, _| Err(InvokeError::Unhandled { message: "always".into() }));
    queue.send(SendMessage { body: "poison".into(), delay: Duration::ZERO }).await.unwrap();
    let stop = CancellationToken::new();
    let polling = tokio::spawn(queue_poll(Arc::new(queue.clone()), &script).run(stop.clone()));
    until(async || !queue.dead_letters(10).await.unwrap().is_empty()).await;
    stop.cancel();
    polling.await.unwrap();
    assert_eq!(script.count(), 2);
}

fn stream_poll(store: &Store, script: &Arc<Script>) -> StreamPoll {
    let pattern = json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "event#" }] } } } });
    StreamPoll {
        records: store.records(),
        name: "FanOut/Changes".into(),
        source: StreamSource { arn: "arn:stream".into(), region: "r".into(), view: "NEW_AND_OLD_IMAGES".into() },
        filters: Filters::parse(&[pattern]).unwrap(),
        function: "FanOut".into(),
        functions: Arc::clone(script) as Arc<dyn Functions>,
        batch: 100,
        start: StartAt::TrimHorizon,
        reported: true,
        bisect: true,
        retries: Some(3),
        dead_letters: None,
    }
}

async fn put(store: &Store, sort: &str) {
    let records = store.records();
    let records: &dyn Records = &records;
    records.put(RecordKey::new("p", sort), json!({}), Expect::Anything).await.unwrap();
}

fn sorts(script: &Script) -> Vec<String> {
    let events = script.events.lock().unwrap();
    let records = events.iter().flat_map(|event| event["Records"].as_array().unwrap().clone());
    records.map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn changes_that_pass_the_filter_are_delivered_once_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let script = Script::new(|_, _| Ok(json!({ "batchItemFailures": [] })));
    for (round, sort) in ["event#1", "event#2"].iter().enumerate() {
        put(&store, "other").await;
        put(&store, sort).await;
        let stop = CancellationToken::new();
        let polling = tokio::spawn(stream_poll(&store, &script).run(stop.clone()));
        until(async || script.count() > round).await;
        // The position is written after the delivery.
        let records = store.records();
        let key = RecordKey::new("event-source", "FanOut/Changes");
        let before = records.get(&key).await.unwrap().map(|record| record.version);
        put(&store, "nudge").await;
        until(async || records.get(&key).await.unwrap().is_some()).await;
        if round > 0 {
            until(async || {
                records.get(&key).await.unwrap().map(|record| record.version) != before || script.count() == 2
            })
            .await;
        }
        stop.cancel();
        polling.await.unwrap();
    }
    assert_eq!(sorts(&script), ["event#1", "event#2"]);
}

#[tokio::test]
async fn delivery_goes_on_from_the_first_record_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    for sort in ["event#1", "event#2", "event#3"] {
        put(&store, sort).await;
    }
    let script = Script::new(|call, event| {
        let second = &event["Records"][1]["dynamodb"]["SequenceNumber"];
        let failures = if call == 1 { json!([{ "itemIdentifier": second }]) } else { json!([]) };
        Ok(json!({ "batchItemFailures": failures }))
    });
    let stop = CancellationToken::new();
    let polling = tokio::spawn(stream_poll(&store, &script).run(stop.clone()));
    until(async || script.count() == 2).await;
    stop.cancel();
    polling.await.unwrap();
    assert_eq!(sorts(&script), ["event#1", "event#2", "event#3", "event#2", "event#3"]);
}

#[tokio::test]
async fn a_record_that_always_fails_is_given_up_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    for sort in ["event#bad", "event#good"] {
        put(&store, sort).await;
    }
    let script = Script::new(|_, event| {
        let bad = event["Records"].as_array().unwrap().iter().any(|r| r["dynamodb"]["Keys"]["sk"]["S"] == "event#bad");
        if bad { Err(InvokeError::TimedOut) } else { Ok(json!({})) }
    });
    let stop = CancellationToken::new();
    let polling = tokio::spawn(stream_poll(&store, &script).run(stop.clone()));
    until(async || sorts(&script).last().is_some_and(|sort| sort == "event#good") && script.count() > 2).await;
    stop.cancel();
    polling.await.unwrap();
    let events = script.events.lock().unwrap();
    let last = events.last().unwrap()["Records"].as_array().unwrap().len();
    assert_eq!(last, 1);
    // Once together, then alone until its retries are used up.
    assert_eq!(events.len(), 5);
}

#[tokio::test]
async fn records_that_are_given_up_are_told_to_the_queue_of_dead_letters() {
    for unhandled in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let queue = store.queue("dead", QueueSettings { receives_max: 1 });
        for sort in ["event#bad", "event#good"] {
            put(&store, sort).await;
        }
        let script = Script::new(move |_, event| {
            let first = &event["Records"][0]["dynamodb"];
            if first["Keys"]["sk"]["S"] != "event#bad" {
                return Ok(json!({}));
            }
            if unhandled {
                return Err(InvokeError::TimedOut);
            }
            Ok(json!({ "batchItemFailures": [{ "itemIdentifier": first["SequenceNumber"] }] }))
        });
        let mut poll = stream_poll(&store, &script);
        poll.dead_letters = Some(DeadLetters {
            queue: Arc::new(queue.clone()),
            function_arn: "arn:function".into(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        });
        let stop = CancellationToken::new();
        let polling = tokio::spawn(poll.run(stop.clone()));
        let told = queue.receive(10, Duration::from_secs(60), Duration::from_secs(20)).await.unwrap();
        until(async || sorts(&script).last().is_some_and(|sort| sort == "event#good")).await;
        stop.cancel();
        polling.await.unwrap();

        let told: Vec<Value> = told.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
        let [told] = told.as_slice() else { panic!("{told:?}") };
        let events = script.events.lock().unwrap();
        let bad = &events[0]["Records"][0];
        let batch = &told["DDBStreamBatchInfo"];
        assert_eq!(
            (&batch["startSequenceNumber"], &batch["endSequenceNumber"], &batch["batchSize"], &batch["streamArn"]),
            (&bad["dynamodb"]["SequenceNumber"], &bad["dynamodb"]["SequenceNumber"], &json!(1), &bad["eventSourceARN"])
        );
        let asked = &told["requestContext"];
        assert_eq!(
            (&asked["condition"], &asked["functionArn"], &asked["approximateInvokeCount"]),
            (&json!("RetryAttemptsExhausted"), &json!("arn:function"), &json!(4))
        );
        let error = if unhandled { json!("Unhandled") } else { Value::Null };
        assert_eq!((&told["responseContext"]["functionError"], &told["version"]), (&error, &json!("1.0")));
        assert!(!told.to_string().contains("event#bad"), "a dead letter has no content: {told}");
        for time in [&told["timestamp"], &batch["approximateArrivalOfFirstRecord"]] {
            assert!(time.as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')), "{time}");
        }
    }
}
