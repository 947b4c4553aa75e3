//! What is told of records that a stream's event source gave up: their place in the stream, not the records themselves
//! (Lambda Developer Guide, "Retain discarded records for a DynamoDB event source").

use cloud::Millis;
use serde_json::{Value, json};

use super::calendar::Civil;

/// Records of one batch, and how they came to be given up.
#[derive(Clone, Copy, Debug)]
pub struct Discarded<'a> {
    /// Of the last call.
    pub request_id: &'a str,
    pub function_arn: &'a str,
    /// Calls that had these records.
    pub attempts: u32,
    /// The function ended with an error the last time, instead of naming what failed.
    pub unhandled: bool,
    pub at: Millis,
    pub stream: &'a str,
    pub shard: &'a str,
    /// In the order of the stream, as the function gets them.
    pub records: &'a [Value],
}

impl Discarded<'_> {
    /// The body of the message to the mapping's `OnFailure` queue.
    pub fn message(&self) -> Value {
        let part = |record: Option<&Value>, name: &str| record.map_or(Value::Null, |r| r["dynamodb"][name].clone());
        let arrived = |record: Option<&Value>| {
            let seconds = part(record, "ApproximateCreationDateTime").as_f64().unwrap_or_default();
            Civil::at(Millis((seconds * 1000.0) as i64)).rfc3339()
        };
        let (first, last) = (self.records.first(), self.records.last());
        let mut answered = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
        if self.unhandled {
            answered["functionError"] = json!("Unhandled");
        }
        json!({
            "requestContext": {
                "requestId": self.request_id,
                "functionArn": self.function_arn,
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": self.attempts,
            },
            "responseContext": answered,
            "version": "1.0",
            "timestamp": Civil::at(self.at).rfc3339_millis(),
            "DDBStreamBatchInfo": {
                "shardId": self.shard,
                "startSequenceNumber": part(first, "SequenceNumber"),
                "endSequenceNumber": part(last, "SequenceNumber"),
                "approximateArrivalOfFirstRecord": arrived(first),
                "approximateArrivalOfLastRecord": arrived(last),
                "batchSize": self.records.len(),
                "streamArn": self.stream,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_the_place_of_the_records_and_none_of_their_content() {
        let record = |number: &str, at: f64| {
            json!({ "dynamodb": { "SequenceNumber": number, "ApproximateCreationDateTime": at,
                "NewImage": { "secret": { "S": "content" } } } })
        };
        let records = [record("100", 1_763_700_000.0), record("101", 1_763_700_060.0)];
        let discarded = Discarded {
            request_id: "r-1",
            function_arn: "arn:aws:lambda:eu-central-1:000000000000:function:f",
            attempts: 3,
            unhandled: true,
            at: Millis(1_763_700_061_234),
            stream: "arn:aws:dynamodb:eu-central-1:000000000000:table/t/stream/s",
            shard: "shardId-1",
            records: &records,
        };
        let message = discarded.message();
        assert!(!message.to_string().contains("content"), "{message}");
        let info = &message["DDBStreamBatchInfo"];
        assert_eq!((&info["startSequenceNumber"], &info["endSequenceNumber"]), (&json!("100"), &json!("101")));
        assert_eq!((&info["shardId"], &info["batchSize"]), (&json!("shardId-1"), &json!(2)));
        assert_eq!(info["approximateArrivalOfLastRecord"], "2025-11-21T04:41:00Z");
        assert_eq!(message["timestamp"], "2025-11-21T04:41:01.234Z");
        assert_eq!(message["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(message["responseContext"]["functionError"], "Unhandled");
        let reported = Discarded { unhandled: false, ..discarded }.message();
        assert!(reported["responseContext"]["functionError"].is_null());
    }
}
