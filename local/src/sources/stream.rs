//! A DynamoDB stream event source over the change feed of `Records`: in order, one batch at a time.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Change, ChangeFeed, Error, Expect, FeedPosition, RecordKey, Records};
use cloud_local::LocalRecords;
use sam::Filters;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::events::{BatchOutcome, StreamSource, parse_batch_reply, stream_event, stream_record};
use crate::functions::Functions;
use crate::sources::dead_letters::{DeadLetters, GivenUp};

/// One wait for a change.
const WAIT: Duration = Duration::from_secs(5);
/// The first wait before a failed batch is tried again; it doubles up to `RETRY_MAX`.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(10);
/// Changes that no filter let through are passed over again after a restart: at most so many.
const UNSAVED_MAX: usize = 1_000;
/// Changes in one look at the feed.
const PAGE: usize = 500;
/// The partition of the positions; its own changes are never delivered or counted.
const POSITIONS: &str = "event-source";

/// `StartingPosition`, for a source that has no position yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    TrimHorizon,
    Latest,
}

pub struct StreamPoll {
    pub records: LocalRecords,
    /// Names the position that is kept in `records`.
    pub name: String,
    pub source: StreamSource,
    pub filters: Filters,
    /// Logical id.
    pub function: String,
    pub functions: Arc<dyn Functions>,
    /// Records in one event.
    pub batch: usize,
    pub start: StartAt,
    /// `ReportBatchItemFailures`.
    pub reported: bool,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// `MaximumRetryAttempts`; `None` for ever.
    pub retries: Option<u32>,
    /// `DestinationConfig`: who is told of records that were given up.
    pub dead_letters: Option<DeadLetters>,
}

/// A batch that was not handled whole.
struct Failed {
    /// The first record that failed.
    at: usize,
    /// The function ended with an error, instead of naming what failed.
    unhandled: bool,
}

impl StreamPoll {
    /// Polls until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = self.follow() => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn follow(&self) {
        let mut position = self.started().await;
        let mut unsaved = 0;
        loop {
            let page = match self.records.changes(position.as_ref(), PAGE).await {
                Ok(page) => page,
                Err(Error::Stale(_)) => {
                    tracing::error!(source = self.name, "changes were lost: the position is no longer kept");
                    position = None;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, source = self.name, "reading the change feed");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            if page.changes.is_empty() {
                if let Err(error) = self.records.wait_for_change(&page.next, WAIT).await {
                    tracing::warn!(%error, source = self.name, "waiting for changes");
                    tokio::time::sleep(RETRY).await;
                }
                position = Some(page.next);
                continue;
            }
            unsaved += page.changes.iter().filter(|change| change.key.partition != POSITIONS).count();
            let delivered = self.deliver(&page.changes).await;
            if delivered || unsaved >= UNSAVED_MAX {
                self.save(&page.next).await;
                unsaved = 0;
            }
            position = Some(page.next);
        }
    }

    fn key(&self) -> RecordKey {
        RecordKey::new(POSITIONS, self.name.as_str())
    }

    async fn started(&self) -> Option<FeedPosition> {
        loop {
            let found = match self.records.get(&self.key()).await {
                Ok(Some(record)) => record.value["position"].as_str().map(|text| FeedPosition(text.to_owned())),
                Ok(None) if self.start == StartAt::Latest => match self.records.feed_end().await {
                    Ok(end) => Some(end),
                    Err(error) => {
                        tracing::warn!(%error, source = self.name, "reading the end of the change feed");
                        tokio::time::sleep(RETRY).await;
                        continue;
                    }
                },
                Ok(None) => None,
                Err(error) => {
                    tracing::warn!(%error, source = self.name, "reading the position");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            };
            return found;
        }
    }

    /// Keeps the position; when that fails, records are delivered again after a restart.
    async fn save(&self, position: &FeedPosition) {
        let value = json!({ "position": position.0 });
        let records: &dyn Records = &self.records;
        if let Err(error) = records.put(self.key(), value, Expect::Anything).await {
            tracing::warn!(%error, source = self.name, "saving the position");
        }
    }

    /// Delivers what the filters let through; `true` when there was any.
    async fn deliver(&self, changes: &[Change]) -> bool {
        let records: Vec<Value> = changes
            .iter()
            .filter(|change| change.key.partition != POSITIONS)
            .map(|change| stream_record(&self.source, change))
            .filter(|record| self.filters.pass(record))
            .collect();
        for batch in records.chunks(self.batch.max(1)) {
            self.deliver_batch(batch).await;
        }
        !records.is_empty()
    }

    /// Tries a batch until every record is handled or given up. Records before the first failed one are done.
    async fn deliver_batch(&self, mut batch: &[Value]) {
        let mut attempts = 0;
        let mut size = batch.len();
        while !batch.is_empty() {
            let (part, _) = batch.split_at(size.clamp(1, batch.len()));
            let Some(failed) = self.attempt(part).await else {
                batch = &batch[part.len()..];
                (attempts, size) = (0, batch.len());
                continue;
            };
            if failed.at > 0 {
                batch = &batch[failed.at..];
                (attempts, size) = (0, batch.len());
                continue;
            }
            if self.bisect && part.len() > 1 {
                size = part.len().div_ceil(2);
            }
            attempts += 1;
            if self.retries.is_some_and(|max| attempts > max) {
                self.give_up(part, GivenUp { attempts, unhandled: failed.unhandled }).await;
                batch = &batch[part.len()..];
                (attempts, size) = (0, batch.len());
                continue;
            }
            let wait = RETRY.saturating_mul(1 << attempts.min(10)).min(RETRY_MAX);
            tokio::time::sleep(wait).await;
        }
    }

    async fn give_up(&self, records: &[Value], given_up: GivenUp) {
        let sequence = &records[0]["dynamodb"]["SequenceNumber"];
        tracing::error!(source = self.name, %sequence, records = records.len(), "records were given up");
        let Some(dead_letters) = &self.dead_letters else { return };
        // They are given up for good after this, so the destination is tried until it takes them.
        let mut wait = RETRY;
        while let Err(error) = dead_letters.send(&self.source.arn, records, given_up).await {
            tracing::warn!(%error, source = self.name, "telling of records that were given up");
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// Invokes once.
    async fn attempt(&self, records: &[Value]) -> Option<Failed> {
        let sequence = |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned();
        let place = |name: &str| records.iter().position(|record| sequence(record) == name);
        let reply = match self.functions.invoke(&self.function, stream_event(records)).await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(%error, function = self.function, "a batch failed");
                return Some(Failed { at: 0, unhandled: true });
            }
        };
        match parse_batch_reply(&reply, self.reported, |name| place(name).is_some()) {
            BatchOutcome::Done => None,
            BatchOutcome::AllFailed => Some(Failed { at: 0, unhandled: false }),
            BatchOutcome::Failed(names) => {
                names.iter().filter_map(|name| place(name)).min().map(|at| Failed { at, unhandled: false })
            }
        }
    }
}
