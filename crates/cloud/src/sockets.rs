//! Messages to open WebSocket connections: API Gateway Management, or the local gateway.

use std::fmt;

use bytes::Bytes;

use crate::Result;

/// A connection's id, as the gateway names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub String);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    Sent,
    /// The connection is closed (HTTP 410): forget it.
    Gone,
    /// The client does not keep up, and nothing more waits for it: better a clean reconnect than a growing buffer.
    Behind,
}

/// The other end of open WebSocket connections.
#[async_trait::async_trait]
pub trait Sockets: Send + Sync {
    /// Sends one text message of at most 128 KiB. `Error::Unavailable` when the service asks to slow down: the message was
    /// not taken, and the connection is as it was.
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted>;
    /// Closes the connection; succeeds when it is closed.
    async fn close(&self, connection: &ConnectionId) -> Result<()>;
}
