//! What networks and DynamoDB do to single calls of `Records`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{Error, Expect, RangeQuery, RecordKey, Records, Write};
use cloud_aws::{DynamoRecords, RecordsTiming};
use serde_json::{Value, json};
use testkit::{FaultProxy, Rule, WireCall, WireFault};

use crate::aws;
use crate::dynamodb::{Engine, new_table};

/// Tries of one call, before it is given up.
const TRIES: usize = 8;

struct Broken {
    engine: Engine,
    proxy: FaultProxy,
    table: String,
    records: Arc<dyn Records>,
}

fn quick() -> RecordsTiming {
    let pause = Duration::from_millis(1);
    RecordsTiming { pause, pause_max: Duration::from_millis(8), ..RecordsTiming::default() }
}

impl Broken {
    async fn new() -> Self {
        Self::with(quick()).await
    }

    async fn with(timing: RecordsTiming) -> Self {
        let engine = Engine::start();
        let table = new_table(engine.endpoint()).await;
        let proxy = FaultProxy::start(engine.endpoint()).await;
        let records: Arc<dyn Records> = Arc::new(aws(proxy.endpoint()).records_with(&table, timing));
        Self { engine, proxy, table, records }
    }

    /// The same table without the proxy.
    fn straight(&self) -> DynamoRecords {
        aws(self.engine.endpoint()).records(&self.table)
    }

    async fn stored(&self, key: &RecordKey) -> Option<Value> {
        self.straight().get(key).await.unwrap().map(|record| record.value)
    }

    fn transactions(&self) -> usize {
        self.proxy.calls(transacts)
    }
}

fn transacts(call: &WireCall) -> bool {
    call.operation() == "TransactWriteItems"
}

fn reads(call: &WireCall) -> bool {
    call.operation() == "GetItem"
}

fn at(sort: &str) -> RecordKey {
    RecordKey::new("faults", sort)
}

/// A cancelled transaction with these reasons, as DynamoDB says it.
fn cancelled(codes: &[&str]) -> WireFault {
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let body = json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons {codes:?}"),
        "CancellationReasons": reasons,
    });
    let headers = vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())];
    WireFault::Answer { status: 400, headers, body: Bytes::from(body.to_string()) }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_are_made_again() {
    let broken = Broken::new().await;
    for code in ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"] {
        broken.proxy.heal();
        broken.proxy.inject(Rule::new(WireFault::json(400, code)).times(2));
        broken.records.put(at(code), json!(code), Expect::Absent).await.unwrap();
        assert_eq!(broken.transactions(), 3, "{code}");
        broken.proxy.inject(Rule::new(WireFault::json(400, code)).times(2));
        let found = broken.records.get(&at(code)).await.unwrap().unwrap();
        assert_eq!((found.value, broken.proxy.calls(reads)), (json!(code), 3), "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_stays_throttled_is_unavailable() {
    let broken = Broken::new().await;
    broken.proxy.inject(Rule::new(WireFault::json(400, "ProvisionedThroughputExceededException")).always());
    let refused = broken.records.put(at("a"), json!(1), Expect::Anything).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!(broken.transactions(), TRIES);
    let refused = broken.records.get(&at("a")).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    let page = RangeQuery { partition: "faults".into(), limit: 10, ..RangeQuery::default() };
    assert!(matches!(broken.records.query(page).await, Err(Error::Unavailable(_))));
    assert!(broken.proxy.calls(|_| true) <= 3 * TRIES);
    assert_eq!(broken.stored(&at("a")).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_named_and_not_tried_again() {
    let broken = Broken::new().await;
    for (code, told) in [
        ("ExpiredTokenException", "credentials have expired"),
        ("UnrecognizedClientException", "credentials are not accepted"),
        ("AccessDeniedException", "role may not do this"),
    ] {
        broken.proxy.heal();
        broken.proxy.inject(Rule::new(WireFault::json(400, code)).always());
        for refused in [
            broken.records.put(at("a"), json!(1), Expect::Anything).await.map(drop),
            broken.records.get(&at("a")).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(&refused, Error::Other { context, .. } if context.contains(told)), "{refused:?}");
        }
        assert_eq!(broken.proxy.calls(|_| true), 2, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_conflict_is_made_again() {
    let broken = Broken::new().await;
    broken.proxy.inject(Rule::new(cancelled(&["None", "TransactionConflict"])).when(transacts).times(3));
    let writes = vec![Write::put(at("a"), json!(1), Expect::Absent), Write::put(at("b"), json!(2), Expect::Absent)];
    broken.records.transact(writes).await.unwrap();
    assert_eq!((broken.transactions(), broken.stored(&at("b")).await), (4, Some(json!(2))));

    broken.proxy.heal();
    broken.proxy.inject(Rule::new(cancelled(&["TransactionConflict"])).when(transacts).always());
    let refused = broken.records.put(at("a"), json!(9), Expect::Present).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert_eq!((broken.transactions(), broken.stored(&at("a")).await), (TRIES, Some(json!(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_can_never_be_is_refused_at_once() {
    let broken = Broken::new().await;
    for reason in ["ValidationError", "ItemCollectionSizeLimitExceeded"] {
        broken.proxy.heal();
        broken.proxy.inject(Rule::new(cancelled(&[reason])).when(transacts).always());
        let refused = broken.records.put(at("a"), json!(1), Expect::Anything).await.unwrap_err();
        assert!(matches!(refused, Error::Other { .. }), "{reason}: {refused:?}");
        assert_eq!(broken.transactions(), 1, "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_write_that_lost_is_named() {
    let broken = Broken::new().await;
    broken.records.put(at("b"), json!(1), Expect::Absent).await.unwrap();
    let writes = vec![
        Write::Check { key: at("unasked"), expect: Expect::Anything },
        Write::put(at("a"), json!(1), Expect::Absent),
        Write::put(at("b"), json!(2), Expect::Absent),
    ];
    let lost = broken.records.transact(writes).await.unwrap_err();
    let Error::ConditionFailed { key, index } = lost else { panic!("{lost:?}") };
    assert_eq!((key.as_str(), index), ("faults/b", Some(2)));
    // A lost condition is an answer, nothing to try again.
    assert_eq!(broken.transactions(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_success_whose_answer_was_lost_is_a_success() {
    let broken = Broken::new().await;
    broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(transacts));
    let version = broken.records.put(at("a"), json!(1), Expect::Absent).await.unwrap();
    let found = broken.straight().get(&at("a")).await.unwrap().unwrap();
    assert_eq!((found.value, &found.version), (json!(1), &version));

    broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(transacts));
    broken.records.delete(at("a"), Expect::At(version)).await.unwrap();
    assert_eq!(broken.stored(&at("a")).await, None);
    let tokens: Vec<Value> = broken
        .proxy
        .seen()
        .iter()
        .filter(|call| transacts(call))
        .map(|call| serde_json::from_slice::<Value>(&call.body).unwrap()["ClientRequestToken"].clone())
        .collect();
    assert_eq!(tokens.len(), 4);
    assert!(tokens[0] == tokens[1] && tokens[2] == tokens[3] && tokens[0] != tokens[2], "{tokens:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_success_is_known_by_its_version_when_the_service_forgot_the_token() {
    let broken = Broken::new().await;
    broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(transacts));
    broken.proxy.inject(Rule::new(cancelled(&["ConditionalCheckFailed"])).when(transacts).nth(2));
    let version = broken.records.put(at("a"), json!(1), Expect::Absent).await.unwrap();
    assert_eq!(broken.straight().get(&at("a")).await.unwrap().unwrap().version, version);

    // Somebody else's record is no success of ours.
    broken.proxy.heal();
    broken.proxy.inject(Rule::new(WireFault::LoseCall).when(transacts));
    let lost = broken.records.put(at("a"), json!(2), Expect::Absent).await.unwrap_err();
    assert!(lost.is_condition_failed(), "{lost:?}");
    assert_eq!(broken.stored(&at("a")).await, Some(json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_arrived_is_made_again() {
    let broken = Broken::new().await;
    broken.proxy.inject(Rule::new(WireFault::LoseCall).times(2));
    broken.records.put(at("a"), json!(1), Expect::Absent).await.unwrap();
    broken.proxy.inject(Rule::new(WireFault::json(500, "InternalServerError")).when(transacts));
    broken.records.put(at("b"), json!(1), Expect::Absent).await.unwrap();
    broken.proxy.inject(Rule::new(WireFault::json(400, "TransactionInProgressException")).when(transacts).times(2));
    broken.records.put(at("c"), json!(1), Expect::Absent).await.unwrap();
    broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(reads));
    assert_eq!(broken.records.get(&at("c")).await.unwrap().unwrap().value, json!(1));
    assert_eq!(broken.transactions(), 3 + 2 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_is_waited_for_only_so_long() {
    let timing = RecordsTiming { attempt: Duration::from_millis(300), ..quick() };
    let broken = Broken::with(timing).await;
    broken.proxy.inject(Rule::new(WireFault::Delay(Duration::from_secs(2))).when(transacts));
    let version = broken.records.put(at("a"), json!(1), Expect::Absent).await.unwrap();
    assert_eq!(broken.transactions(), 2, "the first answer was not waited for");
    assert_eq!(broken.straight().get(&at("a")).await.unwrap().unwrap().version, version);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_unknown_is_said_to_be_unknown() {
    let timing = RecordsTiming { attempt: Duration::from_millis(100), whole: Duration::from_millis(900), ..quick() };
    let broken = Broken::with(timing).await;
    broken.proxy.inject(Rule::new(WireFault::Delay(Duration::from_secs(600))).always());
    let refused = broken.records.put(at("a"), json!(1), Expect::Absent).await.unwrap_err();
    assert!(matches!(refused, Error::Unclear(_)), "{refused:?}");
    let refused = broken.records.get(&at("a")).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "a read changes nothing: {refused:?}");

    // A refusal that comes later says nothing of what an earlier call did.
    broken.proxy.heal();
    broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(transacts));
    broken.proxy.inject(Rule::new(WireFault::json(400, "ExpiredTokenException")).nth(2).always());
    let refused = broken.records.put(at("b"), json!(1), Expect::Absent).await.unwrap_err();
    assert!(matches!(refused, Error::Unclear(_)), "{refused:?}");
    assert_eq!(broken.stored(&at("b")).await, Some(json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_increment_is_lost_or_doubled_when_answers_are_lost() {
    const WRITERS: u64 = 4;
    const WRITES_EACH: u64 = 6;
    let broken = Broken::new().await;
    let key = at("counter");
    broken.records.put(key.clone(), json!(0), Expect::Absent).await.unwrap();
    for nth in (2..200).step_by(3) {
        broken.proxy.inject(Rule::new(WireFault::LoseAnswer).when(transacts).nth(nth));
    }
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (records, key) = (broken.records.clone(), key.clone());
            tokio::spawn(async move {
                let (mut done, mut unclear) = (0, 0);
                while done < WRITES_EACH {
                    let found = records.get(&key).await.unwrap().unwrap();
                    let next = json!(found.value.as_u64().unwrap() + 1);
                    match records.put(key.clone(), next, Expect::At(found.version)).await {
                        Ok(_) => done += 1,
                        // Every answer of every attempt was lost: it is said to be unknown, and is not counted.
                        Err(cloud::Error::Unclear(_)) => unclear += 1,
                        Err(lost) => assert!(lost.is_condition_failed(), "{lost:?}"),
                    }
                }
                unclear
            })
        })
        .collect();
    let mut unclear = 0;
    for writer in writers {
        unclear += writer.await.unwrap();
    }
    let stored = broken.stored(&key).await.unwrap().as_u64().unwrap();
    let acknowledged = WRITERS * WRITES_EACH;
    assert!((acknowledged..=acknowledged + unclear).contains(&stored), "{stored}, of which {unclear} unclear");
    assert!(unclear < WRITES_EACH, "an unclear answer is the last resort, not the rule: {unclear}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_sent() {
    let broken = Broken::new().await;
    let large = json!("x".repeat(cloud::limits::RECORD_MAX));
    assert!(matches!(broken.records.put(at("a"), large, Expect::Anything).await, Err(Error::TooLarge { .. })));
    assert_eq!(broken.proxy.calls(|_| true), 0);
    // The largest that is not refused is taken, with everything else that an item has.
    let key = RecordKey::new("p", "s");
    let fits = json!("x".repeat(cloud::limits::RECORD_MAX - 4));
    let write = Write::Put { key, value: fits, expect: Expect::Absent, expires: Some(cloud::Millis(i64::MAX / 2)) };
    broken.records.transact(vec![write]).await.unwrap();
}
