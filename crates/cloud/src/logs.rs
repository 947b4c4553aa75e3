//! Log groups and streams: Amazon CloudWatch Logs, or segment files.

use std::time::Duration;

use crate::{Millis, Result};

/// An event as it is written: one line, mostly.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogEvent {
    pub at: Millis,
    pub message: String,
}

/// An event as it is read: with the stream it came from and an id that never changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LogRecord {
    pub id: String,
    pub stream: String,
    pub at: Millis,
    pub ingested: Millis,
    pub message: String,
}

/// A place in a group or stream; opaque above the adapter. Reading on from it neither skips nor repeats.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct LogCursor(pub String);

/// Which events to read, from where on.
#[derive(Clone, Debug)]
pub struct LogQuery {
    pub group: String,
    /// One stream alone; every stream of the group when `None`.
    pub stream: Option<String>,
    /// Only events at or after this time, when there is no cursor.
    pub start: Option<Millis>,
    pub cursor: Option<LogCursor>,
    /// At most 10,000.
    pub limit: usize,
    /// Waits this long for the first event when there is none yet; at most 20 seconds.
    pub wait: Duration,
}

/// Events in order: of arrival, or of their time where the service orders them so.
#[derive(Clone, Debug)]
pub struct LogPage {
    pub records: Vec<LogRecord>,
    /// Where to read on, always: a group has no end.
    pub next: LogCursor,
}

/// A stream of a group, with the times of its events.
#[derive(Clone, Debug)]
pub struct LogStream {
    pub name: String,
    pub first: Option<Millis>,
    pub last: Option<Millis>,
}

/// What a log that is followed brought.
#[derive(Clone, Debug)]
pub struct LogUpdate {
    /// `next` never skips an event. It may stand before what this update brought: such events come again when a
    /// reader goes on from there, with the same ids.
    pub page: LogPage,
    /// More arrived than the service passes on at once. What is missing comes with a later update, out of order.
    pub sampled: bool,
}

/// A log that someone watches. Dropping it ends whatever the adapter keeps open for it.
#[async_trait::async_trait]
pub trait LogTail: Send {
    /// Waits at most `wait` for events; an update without records is the answer when none came.
    async fn next(&mut self, wait: Duration) -> Result<LogUpdate>;
    /// Reads what has not come yet, as `Logs::read` does: a page without records says that nothing is missing, and its
    /// `next` is where another reader goes on without a repeat.
    async fn rest(&mut self, wait: Duration) -> Result<LogPage>;
}

/// Log groups of streams: appended in order, read from a cursor without gap or repeat.
#[async_trait::async_trait]
pub trait Logs: Send + Sync {
    /// Creates the group if it is absent and sets how long its events are kept (for ever when `None`).
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()>;
    /// Appends in order; creates the stream. At most 10,000 events and 1 MiB a call.
    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()>;
    /// Reads in order. `Error::NotFound` when there is no such group.
    async fn read(&self, query: LogQuery) -> Result<LogPage>;
    /// Follows the log for as long as the answer is kept: events come as they arrive, each once, and none is left
    /// out. `None` when a waiting `read` is as fast, so that the reader goes on with that.
    async fn follow(&self, _query: LogQuery) -> Result<Option<Box<dyn LogTail>>> {
        Ok(None)
    }
    /// Streams by name after `after`, at most `limit`.
    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>>;
    /// Groups whose name starts with `prefix`, by name.
    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>>;
    async fn delete_group(&self, group: &str) -> Result<()>;
}
