//! Work that is done at least once: Amazon SQS, or an embedded store.

use std::time::Duration;

use crate::{Millis, Result};

/// A message to be sent.
#[derive(Clone, Debug)]
pub struct Send {
    /// At most 256 KiB.
    pub body: String,
    /// Nobody receives the message before this has passed; at most 15 minutes.
    pub delay: Duration,
}

/// The right to finish one delivery of one message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Receipt(pub String);

/// A message that was received; nobody else has it until the visibility timeout passes.
#[derive(Clone, Debug)]
pub struct Leased {
    pub id: String,
    pub body: String,
    pub receipt: Receipt,
    /// How often the message has been received, this time included.
    pub attempt: u32,
    pub sent: Millis,
}

/// A message that was received too often.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub id: String,
    pub body: String,
    pub attempts: u32,
    pub sent: Millis,
}

/// One queue: at least once, no order. A message that was received too often becomes a dead letter.
#[async_trait::async_trait]
pub trait Queue: std::marker::Send + Sync {
    /// Enqueues; the answer is the message's id.
    async fn send(&self, message: Send) -> Result<String>;
    /// Leases up to `max` messages (at most 10) for `visibility`, waiting up to `wait` for the first.
    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>>;
    /// Starts the lease anew from now; zero gives the message back. `Error::Stale` when the lease is lost.
    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()>;
    /// Removes the message. `Error::Stale` when another delivery has the lease.
    async fn acknowledge(&self, receipt: &Receipt) -> Result<()>;
    /// The oldest dead letters, at most `limit`.
    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>>;
}
