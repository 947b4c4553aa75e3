//! The destination of records that an event source gave up: their place in the stream, not the records themselves
//! (Lambda Developer Guide, "Retain discarded records for a DynamoDB event source").

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Entropy, Millis, Queue, SendMessage};
use serde_json::{Value, json};

use crate::events::timestamp;

/// On one machine a stream has one shard.
const SHARD: &str = "shardId-00000000000000000000-00000000";

pub struct DeadLetters {
    pub queue: Arc<dyn Queue>,
    pub function_arn: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// How records came to be given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    pub attempts: u32,
    /// The function ended with an error the last time, instead of naming what failed.
    pub unhandled: bool,
}

impl DeadLetters {
    /// Tells of records of one batch.
    pub(super) async fn send(&self, stream: &str, records: &[Value], given_up: GivenUp) -> cloud::Result<()> {
        let body = self.message(stream, records, given_up).to_string();
        self.queue.send(SendMessage { body, delay: Duration::ZERO }).await.map(drop)
    }

    fn message(&self, stream: &str, records: &[Value], given_up: GivenUp) -> Value {
        let part = |record: Option<&Value>, name: &str| record.map_or(Value::Null, |r| r["dynamodb"][name].clone());
        let arrived = |record: Option<&Value>| {
            let seconds = part(record, "ApproximateCreationDateTime").as_f64().unwrap_or_default();
            timestamp(Millis((seconds * 1000.0) as i64))
        };
        let (first, last, now) = (records.first(), records.last(), self.clock.now());
        let mut answered = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
        if given_up.unhandled {
            answered["functionError"] = json!("Unhandled");
        }
        json!({
            "requestContext": {
                "requestId": crate::gateway::request_id(self.entropy.as_ref()),
                "functionArn": self.function_arn,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": given_up.attempts,
            },
            "responseContext": answered,
            "version": "1.0",
            "timestamp": format!("{}.{:03}Z", timestamp(now).trim_end_matches('Z'), now.0.rem_euclid(1000)),
            "DDBStreamBatchInfo": {
                "shardId": SHARD,
                "startSequenceNumber": part(first, "SequenceNumber"),
                "endSequenceNumber": part(last, "SequenceNumber"),
                "approximateArrivalOfFirstRecord": arrived(first),
                "approximateArrivalOfLastRecord": arrived(last),
                "batchSize": records.len(),
                "streamArn": stream,
            },
        })
    }
}
