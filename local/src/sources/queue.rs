//! An SQS event source: leases batches, invokes, acknowledges what was handled.

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::QUEUE_BATCH_MAX;
use cloud::{Clock, Leased, Queue};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::{BatchOutcome, QueueMessage, QueueSource, parse_batch_reply, queue_event};
use crate::functions::Functions;

/// One long poll.
const WAIT: Duration = Duration::from_secs(20);
/// After an error of the queue itself.
const PAUSE: Duration = Duration::from_secs(1);
/// The first wait before a failed message comes again; it doubles with each attempt, up to the visibility.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub struct QueuePoll {
    pub queue: Arc<dyn Queue>,
    pub source: QueueSource,
    /// Logical id.
    pub function: String,
    pub functions: Arc<dyn Functions>,
    /// Messages in one event, at most 10.
    pub batch: usize,
    /// How long a batch is leased: the queue's visibility timeout, over the function's timeout.
    pub visibility: Duration,
    /// `ReportBatchItemFailures`.
    pub reported: bool,
    /// Batches in flight.
    pub concurrency: usize,
    pub clock: Arc<dyn Clock>,
}

impl QueuePoll {
    /// Polls until `shutdown`; batches in flight are dropped then, and their leases run out.
    pub async fn run(self, shutdown: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.concurrency));
        let batches = TaskTracker::new();
        let poll = Arc::new(self);
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.ok()?;
                let max = poll.batch.clamp(1, QUEUE_BATCH_MAX);
                Some((place, poll.queue.receive(max, poll.visibility, WAIT).await))
            };
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                next = next => next,
            };
            let Some((place, received)) = next else { break };
            match received {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    let (poll, shutdown) = (Arc::clone(&poll), shutdown.clone());
                    batches.spawn(async move {
                        tokio::select! {
                            () = poll.handle(messages) => {}
                            () = shutdown.cancelled() => {}
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, queue = poll.source.arn, "receiving");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        batches.close();
        batches.wait().await;
    }

    async fn handle(&self, messages: Vec<Leased>) {
        let received = self.clock.now();
        let records: Vec<QueueMessage> = messages
            .iter()
            .map(|message| QueueMessage {
                id: message.id.clone(),
                receipt: message.receipt.0.clone(),
                body: message.body.clone(),
                attempt: message.attempt,
                sent: message.sent,
                received,
            })
            .collect();
        let outcome = match self.functions.invoke(&self.function, queue_event(&self.source, &records)).await {
            Ok(reply) => parse_batch_reply(&reply, self.reported, |id| messages.iter().any(|message| message.id == id)),
            Err(error) => {
                tracing::error!(%error, function = self.function, "a batch failed");
                BatchOutcome::AllFailed
            }
        };
        for message in &messages {
            let failed = match &outcome {
                BatchOutcome::Done => false,
                BatchOutcome::Failed(ids) => ids.contains(&message.id),
                BatchOutcome::AllFailed => true,
            };
            let settled = if failed {
                self.queue.extend(&message.receipt, self.retry_after(message.attempt)).await
            } else {
                self.queue.acknowledge(&message.receipt).await
            };
            if let Err(error) = settled {
                // The message comes again; functions are idempotent.
                tracing::warn!(%error, queue = self.source.arn, message = message.id, "settling a message");
            }
        }
    }

    fn retry_after(&self, attempt: u32) -> Duration {
        let doubled = 1_u32 << attempt.saturating_sub(1).min(16);
        RETRY.saturating_mul(doubled).min(self.visibility)
    }
}
