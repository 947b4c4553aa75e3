//! The operations on messages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::limits::QUEUE_BATCH_MAX;
use cloud::{Leased, Queue, Receipt, SendMessage};
use s3s::crypto::{Checksum, Md5};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{ABSENT, OpenQueue, seconds};
use crate::wire::reply::{Answer, Failure, read};

const NO_RECEIPT: &str = "ReceiptHandleIsInvalid";

pub(super) async fn run(open: &OpenQueue, operation: &str, body: &[u8]) -> Answer {
    match operation {
        "SendMessage" => send(open, read(body)?).await,
        "SendMessageBatch" => batch(read(body)?, |entry| send(open, entry)).await,
        "ReceiveMessage" => receive(open, read(body)?).await,
        "DeleteMessage" => delete(open, read(body)?).await,
        "DeleteMessageBatch" => batch(read(body)?, |entry| delete(open, entry)).await,
        "ChangeMessageVisibility" => extend(open, read(body)?).await,
        "ChangeMessageVisibilityBatch" => batch(read(body)?, |entry| extend(open, entry)).await,
        other => Err(Failure::unknown_operation(other, "SQS")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendInput {
    message_body: String,
    delay_seconds: Option<u32>,
    #[serde(default)]
    message_attributes: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Receive {
    max_number_of_messages: Option<usize>,
    visibility_timeout: Option<u32>,
    wait_time_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Extend {
    receipt_handle: String,
    visibility_timeout: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    entries: Vec<Value>,
}

async fn send(open: &OpenQueue, asked: SendInput) -> Answer {
    if !asked.message_attributes.is_empty() {
        return Err(Failure::new(
            "UnsupportedOperation",
            "message attributes are not kept on this machine; put them into the body",
        ));
    }
    let body_md5 = md5(&asked.message_body);
    let delay = seconds(asked.delay_seconds, open.spec.delay_s);
    let id = open.queue.send(SendMessage { body: asked.message_body, delay }).await.map_err(refused)?;
    Ok(json!({"MessageId": id, "MD5OfMessageBody": body_md5}))
}

async fn receive(open: &OpenQueue, asked: Receive) -> Answer {
    let max = asked.max_number_of_messages.unwrap_or(1);
    if !(1..=QUEUE_BATCH_MAX).contains(&max) {
        return Err(Failure::new("InvalidParameterValue", "MaxNumberOfMessages is 1 to 10"));
    }
    let visibility = seconds(asked.visibility_timeout, open.spec.visibility_s);
    let wait = seconds(asked.wait_time_seconds, open.spec.wait_s);
    let leased = open.queue.receive(max, visibility, wait).await.map_err(refused)?;
    if leased.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({"Messages": leased.into_iter().map(message).collect::<Vec<_>>()}))
}

fn message(leased: Leased) -> Value {
    json!({
        "MessageId": leased.id,
        "ReceiptHandle": STANDARD.encode(&leased.receipt.0),
        "MD5OfBody": md5(&leased.body),
        "Body": leased.body,
        "Attributes": {
            "ApproximateReceiveCount": leased.attempt.to_string(),
            "SentTimestamp": leased.sent.0.to_string(),
        },
    })
}

async fn delete(open: &OpenQueue, asked: Delete) -> Answer {
    match open.queue.acknowledge(&receipt(&asked.receipt_handle)?).await {
        // Deleting a message whose lease went to another receiver answers as if it had worked (SQS).
        Ok(()) | Err(cloud::Error::Stale(_) | cloud::Error::NotFound(_)) => Ok(json!({})),
        Err(error) => Err(refused(error)),
    }
}

async fn extend(open: &OpenQueue, asked: Extend) -> Answer {
    let visibility = seconds(Some(asked.visibility_timeout), 0);
    match open.queue.extend(&receipt(&asked.receipt_handle)?, visibility).await {
        Ok(()) => Ok(json!({})),
        Err(cloud::Error::Stale(_) | cloud::Error::NotFound(_)) => {
            Err(Failure::new("MessageNotInflight", "the message is not in flight under this receipt"))
        }
        Err(error) => Err(refused(error)),
    }
}

fn receipt(handle: &str) -> Answer<Receipt> {
    let decoded = STANDARD.decode(handle).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map(Receipt).ok_or_else(|| Failure::new(NO_RECEIPT, "the receipt handle is not valid"))
}

/// Runs `one` on each entry; an entry that fails does not keep the others from happening.
async fn batch<T, F>(asked: Batch, one: impl Fn(T) -> F) -> Answer
where
    T: serde::de::DeserializeOwned,
    F: Future<Output = Answer>,
{
    if asked.entries.is_empty() {
        return Err(Failure::new("EmptyBatchRequest", "a batch has at least one entry"));
    }
    if asked.entries.len() > QUEUE_BATCH_MAX {
        return Err(Failure::new("TooManyEntriesInBatchRequest", "a batch has at most 10 entries"));
    }
    let ids: Vec<String> =
        asked.entries.iter().map(|entry| entry["Id"].as_str().unwrap_or_default().to_owned()).collect();
    let mut distinct = ids.clone();
    distinct.sort();
    distinct.dedup();
    if distinct.len() != ids.len() {
        return Err(Failure::new("BatchEntryIdsNotDistinct", "each entry of a batch has its own Id"));
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (entry, id) in asked.entries.into_iter().zip(ids) {
        let entry =
            serde_json::from_value(entry).map_err(|error| Failure::new("SerializationException", error.to_string()));
        let done = match entry {
            Ok(entry) => one(entry).await,
            Err(failure) => Err(failure),
        };
        match done {
            Ok(mut answer) => {
                answer["Id"] = Value::String(id);
                successful.push(answer);
            }
            Err(failure) => failed.push(json!({
                "Id": id,
                "Code": failure.code,
                "Message": failure.message,
                "SenderFault": failure.status.is_client_error(),
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn refused(error: cloud::Error) -> Failure {
    match error {
        cloud::Error::Invalid(_) | cloud::Error::TooLarge { .. } => {
            Failure::new("InvalidParameterValue", error.to_string())
        }
        other => Failure::from_port(other, ABSENT),
    }
}

fn md5(text: &str) -> String {
    hex::encode(Md5::checksum(text.as_bytes()))
}
