//! The table's stream: what `Records` writes comes out of it in order, in the form that the fan-out function's own
//! tests are fed with (`websocket/tests/events`).

use std::collections::BTreeSet;
use std::path::Path;

use cloud::{Expect, RecordKey, Records, Write};
use serde_json::{Value, json};
use testkit::emulator::Emulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::aws;
use crate::dynamodb::{Engine, new_table};

/// Looks at the stream until the changes are there.
const LOOKS_MAX: usize = 200;

/// One call of a JSON protocol that neither engine asks a signature for.
async fn call(endpoint: &str, target: &str, body: &Value) -> Value {
    let address = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let body = body.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.0\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0\r\nX-Amz-Date: 20261121T000000Z\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{target}: {answer}");
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{target}: {answer}"))
}

async fn streams(endpoint: &str, operation: &str, body: &Value) -> Value {
    call(endpoint, &format!("DynamoDBStreams_20120810.{operation}"), body).await
}

/// Everything in the stream of a table, once there are `count` records.
async fn stream_of(endpoint: &str, table: &str, count: usize) -> Vec<Value> {
    let described = call(endpoint, "DynamoDB_20120810.DescribeTable", &json!({ "TableName": table })).await;
    let arn = &described["Table"]["LatestStreamArn"];
    let mut found = Vec::new();
    for _ in 0..LOOKS_MAX {
        found.clear();
        let stream = streams(endpoint, "DescribeStream", &json!({ "StreamArn": arn })).await;
        for shard in stream["StreamDescription"]["Shards"].as_array().unwrap() {
            let ask = json!({ "StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON" });
            let iterator = streams(endpoint, "GetShardIterator", &ask).await;
            let ask = json!({ "ShardIterator": iterator["ShardIterator"], "Limit": 1000 });
            let page = streams(endpoint, "GetRecords", &ask).await;
            found.extend(page["Records"].as_array().unwrap().iter().cloned());
        }
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{} of {count} records: {found:?}", found.len());
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../websocket/tests/events").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn what_is_written_comes_out_in_order(endpoint: &str) {
    let table = new_table(endpoint).await;
    let adapter = aws(endpoint).records(&table);
    let records: &dyn Records = &adapter;
    let key = |sort: &str| RecordKey::new("project#01P", sort);
    records.put(key("event-head"), json!({ "sequence": 1 }), Expect::Absent).await.unwrap();
    let both = vec![
        Write::put(key("event#0000000000000002"), json!({ "id": "ü\n" }), Expect::Absent),
        Write::put(key("event-head"), json!({ "sequence": 2 }), Expect::Present),
        Write::Check { key: key("absent"), expect: Expect::Absent },
    ];
    records.transact(both).await.unwrap();
    let lost = vec![
        Write::put(key("event#0000000000000003"), json!({}), Expect::Absent),
        Write::put(key("event-head"), json!({}), Expect::Absent),
    ];
    assert!(records.transact(lost).await.unwrap_err().is_condition_failed());
    records.delete(key("event-head"), Expect::Present).await.unwrap();

    let found = stream_of(endpoint, &table, 4).await;
    let told = |record: &Value| {
        let sort = record["dynamodb"]["Keys"]["sk"]["S"].as_str().unwrap().to_owned();
        (record["eventName"].as_str().unwrap().to_owned(), sort)
    };
    let of = |sort: &str| -> Vec<String> {
        found.iter().map(told).filter(|(_, found)| found == sort).map(|(name, _)| name).collect()
    };
    assert_eq!(of("event-head"), ["INSERT", "MODIFY", "REMOVE"]);
    assert_eq!(of("event#0000000000000002"), ["INSERT"]);
    assert_eq!(found.len(), 4, "a lost transaction leaves no record: {found:?}");

    let inserted = found.iter().find(|record| told(record).1.starts_with("event#")).unwrap();
    let value = inserted["dynamodb"]["NewImage"]["value"]["S"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(value).unwrap(), json!({ "id": "ü\n" }));
    let modified = found.iter().find(|record| record["eventName"] == "MODIFY").unwrap();
    for (record, fixture) in [(inserted, fixture("event-inserted.json")), (modified, fixture("record-modified.json"))] {
        // Lambda's poller adds the stream's name.
        let mut expected = fields(&fixture);
        expected.remove("eventSourceARN");
        assert_eq!(fields(record), expected);
        for part in ["dynamodb", "/dynamodb/Keys", "/dynamodb/NewImage"] {
            let at = |value: &Value| value.pointer(&format!("/{}", part.trim_start_matches('/'))).cloned().unwrap();
            assert_eq!(fields(&at(record)), fields(&at(&fixture)), "{part}");
        }
        assert!(record["dynamodb"]["SequenceNumber"].as_str().is_some_and(|number| !number.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_companions_stream_tells_what_was_written() {
    let engine = Engine::start();
    what_is_written_comes_out_in_order(engine.endpoint()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ministacks_stream_tells_what_was_written() {
    what_is_written_comes_out_in_order(Emulator::shared_ministack().endpoint()).await;
}
