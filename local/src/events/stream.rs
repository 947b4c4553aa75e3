//! DynamoDB stream batches, made from the change feed of `Records`.
//!
//! An item has the attributes that the platform's table has: `pk`, `sk` and `value` (JSON text).

use bytes::Bytes;
use cloud::{Change, ChangeKind};
use serde_json::{Value, json};

/// The stream that a batch comes from.
#[derive(Clone, Debug)]
pub struct StreamSource {
    pub arn: String,
    pub region: String,
    /// `NEW_AND_OLD_IMAGES`, `NEW_IMAGE`, `OLD_IMAGE` or `KEYS_ONLY`.
    pub view: String,
}

/// One record of a batch.
pub fn stream_record(source: &StreamSource, change: &Change) -> Value {
    let keys = json!({ "pk": { "S": change.key.partition }, "sk": { "S": change.key.sort } });
    let image = |value: &Value| {
        let text = value.to_string();
        json!({ "pk": keys["pk"], "sk": keys["sk"], "value": { "S": text } })
    };
    let sequence = change.position.0.as_str();
    let mut record = json!({
        "ApproximateCreationDateTime": change.at.0 as f64 / 1000.0,
        "Keys": keys,
        "SequenceNumber": sequence,
        "StreamViewType": source.view,
    });
    let (new, old) = match source.view.as_str() {
        "NEW_AND_OLD_IMAGES" => (true, true),
        "NEW_IMAGE" => (true, false),
        "OLD_IMAGE" => (false, true),
        _ => (false, false),
    };
    if let Some(value) = change.new.as_ref().filter(|_| new) {
        record["NewImage"] = image(value);
    }
    if let Some(value) = change.old.as_ref().filter(|_| old) {
        record["OldImage"] = image(value);
    }
    record["SizeBytes"] = json!(record.to_string().len());
    json!({
        "eventID": sequence,
        "eventName": match change.kind {
            ChangeKind::Insert => "INSERT",
            ChangeKind::Modify => "MODIFY",
            ChangeKind::Remove => "REMOVE",
        },
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": source.region,
        "dynamodb": record,
        "eventSourceARN": source.arn,
    })
}

/// The event of a batch of records.
pub fn stream_event(records: &[Value]) -> Bytes {
    super::to_json(&json!({ "Records": records }))
}
