//! `Queue` on Amazon SQS. Memory: ten messages of a receive, or the dead letters asked for.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cloud::{DeadLetter, Error, Leased, Millis, Queue, Receipt, Result, SendMessage, limits};

use crate::{ATTEMPT_TIMEOUT, Aws, CONNECT_TIMEOUT, READ_TIMEOUT, failure, read_failure};

/// SQS waits this long at most for a first message (`WaitTimeSeconds`).
const WAIT_MAX: Duration = Duration::from_secs(20);
/// A lease lasts this long at most (`VisibilityTimeout`).
const LEASE_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Looking at dead letters hides them from others for this long, if they are not given back before.
const LOOK: Duration = Duration::from_secs(30);
/// One look at dead letters returns this many at most.
const DEAD_LETTERS_MAX: usize = 1000;

pub struct SqsQueue {
    config: SdkConfig,
    client: OnceLock<Client>,
    url: String,
}

/// Where a queue's redrive policy sends what was received too often.
struct DeadLetters {
    url: String,
    /// How often a message was received before it was sent there.
    receives: u32,
}

impl Aws {
    pub fn queue(&self, url: impl Into<String>) -> SqsQueue {
        SqsQueue { config: self.config().clone(), client: OnceLock::new(), url: url.into() }
    }
}

/// Whole seconds, rounded up: a lease of half a second is not one of none.
fn seconds(duration: Duration) -> i32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn lease(visibility: Duration) -> Result<i32> {
    match visibility > LEASE_MAX {
        true => Err(Error::Invalid("a lease lasts 12 hours at most".into())),
        false => Ok(seconds(visibility)),
    }
}

impl SqsQueue {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.config))
    }

    async fn dead_letter_queue(&self) -> Result<Option<DeadLetters>> {
        let answer = self
            .client()
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| read_failure("reading the redrive policy", error))?;
        let Some(policy) = answer.attributes().and_then(|all| all.get(&QueueAttributeName::RedrivePolicy)) else {
            return Ok(None);
        };
        let policy: serde_json::Value =
            serde_json::from_str(policy).map_err(|error| Error::other("reading the redrive policy", error))?;
        let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
        let name = arn.rsplit(':').next().unwrap_or_default();
        // A number, or a number in quotes: SQS keeps what it was given.
        let receives = match &policy["maxReceiveCount"] {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64().and_then(|count| u32::try_from(count).ok()),
        };
        let answer = self
            .client()
            .get_queue_url()
            .queue_name(name)
            .send()
            .await
            .map_err(|error| read_failure(format!("finding the queue `{name}`"), error))?;
        let url = answer.queue_url().unwrap_or_default().to_owned();
        Ok(Some(DeadLetters { url, receives: receives.unwrap_or(1) }))
    }

    async fn take(&self, url: &str, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        let wait = wait.min(WAIT_MAX);
        // An answer may take as long as was asked for.
        let patience = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT + wait)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT + wait)
            .build();
        let answer = self
            .client()
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max).unwrap_or(i32::MAX))
            .visibility_timeout(lease(visibility)?)
            .wait_time_seconds(seconds(wait))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .customize()
            .config_override(Config::builder().timeout_config(patience))
            .send()
            .await
            // What a lost answer leased comes back when its lease ends.
            .map_err(|error| read_failure("receiving messages", error))?;
        Ok(answer.messages().iter().map(leased).collect())
    }

    /// Gives back what was only looked at. What is not given back comes back by itself.
    async fn give_back(&self, url: &str, receipts: &[Receipt]) {
        for batch in receipts.chunks(limits::QUEUE_BATCH_MAX) {
            let entries = batch.iter().enumerate().filter_map(|(number, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(number.to_string());
                entry.receipt_handle(&receipt.0).visibility_timeout(0).build().ok()
            });
            let request = self.client().change_message_visibility_batch().queue_url(url);
            if let Err(error) = request.set_entries(Some(entries.collect())).send().await {
                let error = failure("giving dead letters back", error);
                tracing::warn!(%error, "dead letters stay hidden for a moment");
            }
        }
    }
}

fn leased(message: &aws_sdk_sqs::types::Message) -> Leased {
    let attribute = |name: MessageSystemAttributeName| {
        message.attributes().and_then(|all| all.get(&name)).and_then(|value| value.parse::<i64>().ok())
    };
    Leased {
        id: message.message_id().unwrap_or_default().to_owned(),
        body: message.body().unwrap_or_default().to_owned(),
        receipt: Receipt(message.receipt_handle().unwrap_or_default().to_owned()),
        attempt: attribute(MessageSystemAttributeName::ApproximateReceiveCount)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1),
        sent: Millis(attribute(MessageSystemAttributeName::SentTimestamp).unwrap_or_default()),
    }
}

/// A receipt that SQS no longer takes means that the lease is lost. SQS says so in several ways.
fn lease_failure<E>(what: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + std::marker::Send + Sync + 'static,
{
    let service = error.as_service_error();
    let code = service.and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let about_the_receipt =
        || service.and_then(ProvideErrorMetadata::message).unwrap_or_default().contains("ReceiptHandle");
    match code {
        code if code.contains("ReceiptHandleIsInvalid") => Error::Stale("the receipt"),
        code if code.contains("MessageNotInflight") => Error::Stale("the lease"),
        code if code.contains("InvalidParameterValue") && about_the_receipt() => Error::Stale("the lease"),
        _ => failure(what, error),
    }
}

/// What SQS takes as text (SendMessage, "MessageBody").
fn is_text(body: &str) -> bool {
    body.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..))
}

#[async_trait]
impl Queue for SqsQueue {
    /// A lost answer is sent again, so a message may be there twice: the queue promises "at least once".
    async fn send(&self, message: SendMessage) -> Result<String> {
        let (actual, limit) = (message.body.len(), limits::QUEUE_MESSAGE_MAX);
        if actual > limit {
            return Err(Error::TooLarge { what: "the message".into(), actual: actual as u64, limit: limit as u64 });
        }
        if actual == 0 {
            return Err(Error::Invalid("a queue message has at least one byte".into()));
        }
        if !is_text(&message.body) {
            return Err(Error::Invalid("a queue message has no control characters but tab and line ends".into()));
        }
        if message.delay > limits::QUEUE_DELAY_MAX {
            return Err(Error::Invalid("a queue message is delayed by 15 minutes at most".into()));
        }
        let answer = self
            .client()
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body)
            .delay_seconds(seconds(message.delay))
            .send()
            .await
            .map_err(|error| failure("sending a message", error))?;
        Ok(answer.message_id().unwrap_or_default().to_owned())
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        if max == 0 || max > limits::QUEUE_BATCH_MAX {
            return Err(Error::Invalid(format!("1 to {} messages are received at once", limits::QUEUE_BATCH_MAX)));
        }
        self.take(&self.url, max, visibility, wait).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()> {
        self.client()
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(lease(visibility)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| lease_failure("extending a lease", error))
    }

    /// SQS answers success for a receipt that another delivery has replaced and keeps the message (DeleteMessage): who
    /// acknowledges too late may not hear of it, as after any lost answer.
    async fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        self.client()
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .send()
            .await
            .map(drop)
            .map_err(|error| lease_failure("acknowledging a message", error))
    }

    /// SQS has no look without a lease: letters are leased, and given back at once.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let Some(dead) = self.dead_letter_queue().await? else { return Ok(Vec::new()) };
        let limit = limit.min(DEAD_LETTERS_MAX);
        let (mut found, mut failed) = (Vec::new(), None);
        while found.len() < limit {
            let max = (limit - found.len()).min(limits::QUEUE_BATCH_MAX);
            match self.take(&dead.url, max, LOOK, Duration::ZERO).await {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => found.extend(batch),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let receipts: Vec<Receipt> = found.iter().map(|letter| letter.receipt.clone()).collect();
        self.give_back(&dead.url, &receipts).await;
        if let Some(error) = failed {
            return Err(error);
        }
        found.sort_by_key(|letter| letter.sent);
        let letter = |leased: Leased| DeadLetter {
            id: leased.id,
            body: leased.body,
            attempts: dead.receives,
            sent: leased.sent,
        };
        Ok(found.into_iter().map(letter).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_seconds() {
        for (millis, expected) in [(0, 0), (1, 1), (500, 1), (1000, 1), (1001, 2)] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected);
        }
        assert!(matches!(lease(LEASE_MAX + Duration::from_secs(1)), Err(Error::Invalid(_))));
    }

    #[test]
    fn text_is_what_sqs_takes() {
        assert!(is_text("{\"job\": \"ü\"}\r\n\t\u{1F600}"));
        for bad in ["\u{0}", "\u{1B}[0m", "\u{FFFE}", "\u{FFFF}"] {
            assert!(!is_text(bad), "{bad:?}");
        }
    }
}
