//! `Queue` on Amazon SQS.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageSystemAttributeName, QueueAttributeName};
use cloud::{DeadLetter, Error, Leased, Millis, Queue, Receipt, Result, SendMessage};

use crate::{Aws, failure};

/// SQS waits this long at most for a first message (`WaitTimeSeconds`).
const WAIT_MAX_S: u64 = 20;

pub struct SqsQueue {
    client: Client,
    url: String,
}

impl Aws {
    pub fn queue(&self, url: impl Into<String>) -> SqsQueue {
        SqsQueue { client: Client::new(self.config()), url: url.into() }
    }
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

impl SqsQueue {
    /// Where this queue's redrive policy sends what was received too often.
    async fn dead_letter_url(&self) -> Result<Option<String>> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| failure("reading the redrive policy", error))?;
        let Some(policy) = answer.attributes().and_then(|all| all.get(&QueueAttributeName::RedrivePolicy)) else {
            return Ok(None);
        };
        let policy: serde_json::Value =
            serde_json::from_str(policy).map_err(|error| Error::other("reading the redrive policy", error))?;
        let arn = policy["deadLetterTargetArn"].as_str().unwrap_or_default();
        let name = arn.rsplit(':').next().unwrap_or_default();
        let answer = self
            .client
            .get_queue_url()
            .queue_name(name)
            .send()
            .await
            .map_err(|error| failure(format!("finding the queue `{name}`"), error))?;
        Ok(answer.queue_url().map(str::to_owned))
    }

    async fn take(&self, url: &str, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        let answer = self
            .client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(max.clamp(1, 10)).unwrap_or(10))
            .visibility_timeout(seconds(visibility))
            .wait_time_seconds(seconds(wait.min(Duration::from_secs(WAIT_MAX_S))))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failure("receiving messages", error))?;
        Ok(answer.messages().iter().map(leased).collect())
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

/// A receipt that SQS no longer takes means that the lease is lost.
fn lease_error(what: &str, error: cloud::Error) -> Error {
    match &error {
        Error::Other { source, .. } if format!("{source:?}").contains("ReceiptHandleIsInvalid") => {
            Error::Stale("the receipt")
        }
        Error::Other { source, .. } if format!("{source:?}").contains("MessageNotInflight") => {
            Error::Stale("the lease")
        }
        _ => {
            tracing::debug!(what, "queue call failed");
            error
        }
    }
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, message: SendMessage) -> Result<String> {
        let actual = message.body.len();
        if actual > cloud::limits::QUEUE_MESSAGE_MAX {
            let limit = cloud::limits::QUEUE_MESSAGE_MAX as u64;
            return Err(Error::TooLarge { what: "the message".into(), actual: actual as u64, limit });
        }
        let answer = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(message.body)
            .delay_seconds(seconds(message.delay.min(cloud::limits::QUEUE_DELAY_MAX)))
            .send()
            .await
            .map_err(|error| failure("sending a message", error))?;
        Ok(answer.message_id().unwrap_or_default().to_owned())
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        self.take(&self.url, max, visibility, wait).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()> {
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(seconds(visibility))
            .send()
            .await
            .map(drop)
            .map_err(|error| lease_error("extend", failure("extending a lease", error)))
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        self.client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(&receipt.0)
            .send()
            .await
            .map(drop)
            .map_err(|error| lease_error("acknowledge", failure("acknowledging a message", error)))
    }

    /// Looks at the dead-letter queue without hiding what it finds for longer than a moment.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let Some(url) = self.dead_letter_url().await? else { return Ok(Vec::new()) };
        let found = self.take(&url, limit, Duration::from_secs(1), Duration::ZERO).await?;
        Ok(found
            .into_iter()
            .map(|leased| DeadLetter { id: leased.id, body: leased.body, attempts: leased.attempt, sent: leased.sent })
            .collect())
    }
}
