//! SQS batches.

use base64::Engine;
use bytes::Bytes;
use cloud::Millis;
use md5::{Digest, Md5};
use serde_json::{Value, json};

/// The queue that a batch comes from.
#[derive(Clone, Debug)]
pub struct QueueSource {
    pub arn: String,
    pub region: String,
}

/// One leased message.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    pub id: String,
    pub receipt: String,
    pub body: String,
    pub attempt: u32,
    pub sent: Millis,
    pub received: Millis,
}

/// Builds the event of a batch.
pub fn queue_event(source: &QueueSource, messages: &[QueueMessage]) -> Bytes {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            json!({
                "messageId": message.id,
                "receiptHandle": base64::engine::general_purpose::STANDARD.encode(&message.receipt),
                "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": message.attempt.to_string(),
                    "SentTimestamp": message.sent.0.to_string(),
                    "SenderId": "AIDAWORKROOM",
                    "ApproximateFirstReceiveTimestamp": message.received.0.to_string(),
                },
                "messageAttributes": {},
                "md5OfBody": hex(&Md5::digest(message.body.as_bytes())),
                "eventSource": "aws:sqs",
                "eventSourceARN": source.arn,
                "awsRegion": source.region,
            })
        })
        .collect();
    super::to_json(&json!({ "Records": records }))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut all, byte| {
        let _ = write!(all, "{byte:02x}");
        all
    })
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchOutcome {
    /// Every record was handled.
    Done,
    /// These (message ids, or sequence numbers) are to come again.
    Failed(Vec<String>),
    /// The whole batch is to come again.
    AllFailed,
}

/// Reads a batch function's answer (Lambda developer guide, "Implementing partial batch responses"): a name that is
/// empty, null or not in the batch fails the whole batch; `reported` is `ReportBatchItemFailures`.
pub fn parse_batch_reply<'a>(payload: &[u8], reported: bool, mut known: impl FnMut(&str) -> bool + 'a) -> BatchOutcome {
    if !reported {
        return BatchOutcome::Done;
    }
    let Ok(value) = serde_json::from_slice::<Value>(payload) else { return BatchOutcome::AllFailed };
    let failures = match value.get("batchItemFailures") {
        None | Some(Value::Null) => return BatchOutcome::Done,
        Some(Value::Array(failures)) => failures,
        Some(_) => return BatchOutcome::AllFailed,
    };
    let mut names = Vec::with_capacity(failures.len());
    for failure in failures {
        match failure.get("itemIdentifier").and_then(Value::as_str) {
            Some(name) if known(name) => names.push(name.to_owned()),
            _ => return BatchOutcome::AllFailed,
        }
    }
    if names.is_empty() { BatchOutcome::Done } else { BatchOutcome::Failed(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(payload: &str) -> BatchOutcome {
        parse_batch_reply(payload.as_bytes(), true, |name| name == "a" || name == "b")
    }

    #[test]
    fn an_empty_answer_is_success() {
        for payload in ["null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#, r#""ok""#] {
            assert_eq!(outcome(payload), BatchOutcome::Done, "{payload}");
        }
    }

    #[test]
    fn named_messages_come_again() {
        let payload = r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#;
        assert_eq!(outcome(payload), BatchOutcome::Failed(vec!["b".into()]));
        assert_eq!(parse_batch_reply(payload.as_bytes(), false, |_| true), BatchOutcome::Done);
    }

    #[test]
    fn an_answer_that_cannot_be_read_fails_the_batch() {
        for payload in [
            "{",
            r#"{"batchItemFailures":[{"itemIdentifier":"c"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"id":"a"}]}"#,
            r#"{"batchItemFailures":{}}"#,
        ] {
            assert_eq!(outcome(payload), BatchOutcome::AllFailed, "{payload}");
        }
    }
}
