//! The destination of records that an event source gave up: their place in the stream, not the records themselves
//! (Lambda Developer Guide, "Retain discarded records for a DynamoDB event source").

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Entropy, Queue, SendMessage};
use cloud_local::Discarded;
use serde_json::Value;

/// On one machine a stream has one shard.
const SHARD: &str = "shardId-00000000000000000000-00000000";

pub struct DeadLetters {
    pub queue: Arc<dyn Queue>,
    pub function_arn: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// How records came to be given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    pub attempts: u32,
    /// The function ended with an error the last time, instead of naming what failed.
    pub unhandled: bool,
}

impl DeadLetters {
    /// Tells of records of one batch.
    pub(super) async fn send(&self, stream: &str, records: &[Value], given_up: GivenUp) -> cloud::Result<()> {
        let body = self.message(stream, records, given_up).to_string();
        self.queue.send(SendMessage { body, delay: Duration::ZERO }).await.map(drop)
    }

    fn message(&self, stream: &str, records: &[Value], given_up: GivenUp) -> Value {
        let discarded = Discarded {
            request_id: &crate::gateway::request_id(self.entropy.as_ref()),
            function_arn: &self.function_arn,
            attempts: given_up.attempts,
            unhandled: given_up.unhandled,
            at: self.clock.now(),
            stream,
            shard: SHARD,
            records,
        };
        discarded.message()
    }
}
