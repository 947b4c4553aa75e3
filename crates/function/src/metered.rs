//! Sockets whose posts are counted for the metrics.

use std::sync::Arc;

use bytes::Bytes;
use cloud::{ConnectionId, Posted, Result, Sockets};

use crate::metrics::{Post, posted};

pub(crate) struct Metered(pub Arc<dyn Sockets>);

#[async_trait::async_trait]
impl Sockets for Metered {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        let outcome = self.0.post(connection, message).await;
        posted(match &outcome {
            Ok(Posted::Sent) => Post::Sent,
            Ok(Posted::Gone) => Post::Gone,
            Ok(Posted::Behind) | Err(_) => Post::Failed,
        });
        outcome
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.0.close(connection).await
    }
}
