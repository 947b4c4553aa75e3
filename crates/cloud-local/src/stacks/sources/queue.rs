//! SQS event source mappings (Lambda Developer Guide, "Using Lambda with Amazon SQS").

use std::time::Duration;

use cloud::limits::QUEUE_BATCH_MAX;
use cloud::{Leased, Queue};
use s3s::crypto::{Checksum, Md5};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{SOURCE_PAUSE, Target, failed_items, records};
use crate::LocalQueue;

/// How long one receive waits for a message.
const WAIT: Duration = Duration::from_secs(20);
/// Batches of one queue that are with the function at a time.
const BATCHES_MAX: usize = 5;
/// The longest visibility timeout.
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 60 * 60);

pub(super) struct Source {
    /// The queue's name in its stack.
    pub queue: String,
    pub batch: usize,
    pub window: Duration,
    /// `ReportBatchItemFailures`
    pub partial: bool,
    pub target: Target,
}

impl Source {
    pub async fn run(self) {
        let mut running = tokio::task::JoinSet::new();
        loop {
            while running.len() >= BATCHES_MAX {
                running.join_next().await;
            }
            let open = match self.target.queues().open(&self.target.scope(), &self.queue).await {
                Ok(Some(open)) => open,
                other => {
                    if let Err(error) = other {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            queue = self.queue,
                            "a queue is not read"
                        );
                    }
                    tokio::time::sleep(SOURCE_PAUSE).await;
                    continue;
                }
            };
            // Lambda asks for a visibility timeout over the function's own; here it is made so.
            let least = Duration::from_secs(u64::from(self.target.pool.spec().timeout_s) + 5);
            let visibility = Duration::from_secs(u64::from(open.spec.visibility_s)).max(least).min(VISIBILITY_MAX);
            let batch = match self.gather(&open.queue, visibility).await {
                Ok(batch) => batch,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, queue = self.queue, "a queue is not read");
                    tokio::time::sleep(SOURCE_PAUSE).await;
                    continue;
                }
            };
            if !batch.is_empty() {
                let delivery = Delivery {
                    queue: open.queue,
                    name: self.queue.clone(),
                    partial: self.partial,
                    target: self.target.clone(),
                };
                // Not a part of this task: a new version stops reading, but what is read is finished.
                let handed = tokio::spawn(async move { delivery.deliver(batch).await });
                running.spawn(async move { drop(handed.await) });
            }
        }
    }

    /// A batch: as many as there are, up to the size; with a window, until it has passed.
    async fn gather(&self, queue: &LocalQueue, visibility: Duration) -> cloud::Result<Vec<Leased>> {
        let mut batch = queue.receive(self.batch.min(QUEUE_BATCH_MAX), visibility, WAIT).await?;
        let until = Instant::now() + self.window;
        while !batch.is_empty() && batch.len() < self.batch {
            let left = until.saturating_duration_since(Instant::now());
            let more = queue.receive((self.batch - batch.len()).min(QUEUE_BATCH_MAX), visibility, left).await?;
            if more.is_empty() {
                break;
            }
            batch.extend(more);
        }
        Ok(batch)
    }
}

struct Delivery {
    queue: LocalQueue,
    name: String,
    partial: bool,
    target: Target,
}

impl Delivery {
    async fn deliver(self, batch: Vec<Leased>) {
        let event = records(batch.iter().map(|message| self.record(message)).collect());
        let known: Vec<&str> = batch.iter().map(|message| message.id.as_str()).collect();
        let failed = match self.target.call(&event).await {
            Some(answer) if self.partial => failed_items(&answer, &known),
            Some(_) => Vec::new(),
            None => known.iter().map(|id| (*id).to_owned()).collect(),
        };
        for message in batch.iter().filter(|message| !failed.contains(&message.id)) {
            // A lost lease means a second delivery, which is what "at least once" allows.
            if let Err(error) = self.queue.acknowledge(&message.receipt).await {
                tracing::warn!(error = &error as &dyn std::error::Error, queue = self.name, "a message comes again");
            }
        }
    }

    fn record(&self, message: &Leased) -> Value {
        let sent = message.sent.0.to_string();
        json!({
            "messageId": message.id,
            "receiptHandle": message.receipt.0,
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.attempt.to_string(),
                "SentTimestamp": sent,
                "SenderId": self.target.around.naming.account(),
                "ApproximateFirstReceiveTimestamp": sent,
            },
            "messageAttributes": {},
            "md5OfBody": md5(&message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": self.target.around.naming.arn("sqs", &self.name),
            "awsRegion": self.target.around.naming.region(),
        })
    }
}

fn md5(text: &str) -> String {
    let mut hasher = Md5::new();
    hasher.update(text.as_bytes());
    hex::encode(hasher.finalize())
}
