//! `Sockets` in memory: each connection is a bounded channel.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cloud::limits::SOCKET_MESSAGE_MAX;
use cloud::{ConnectionId, Error, Posted, Result, Sockets};
use tokio::sync::mpsc;

use crate::conformance::{SocketPeer, SocketPeers};

/// Messages that wait for a client which does not read.
const WAITING_MAX: usize = 256;

/// A `Sockets` without a gateway. Clones share the connections.
#[derive(Clone, Default)]
pub struct MemorySockets {
    state: Arc<Mutex<SocketState>>,
}

#[derive(Default)]
struct SocketState {
    opened: u64,
    open: HashMap<String, mpsc::Sender<String>>,
}

impl MemorySockets {
    pub fn new() -> Self {
        Self::default()
    }

    /// A new connection, and the client's end of it.
    pub fn connect(&self) -> (ConnectionId, MemoryPeer) {
        let (sender, messages) = mpsc::channel(WAITING_MAX);
        let mut state = self.lock();
        state.opened += 1;
        let id = format!("connection-{}", state.opened);
        state.open.insert(id.clone(), sender);
        (ConnectionId(id), MemoryPeer { messages })
    }

    fn lock(&self) -> MutexGuard<'_, SocketState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client: gone when it is dropped.
pub struct MemoryPeer {
    messages: mpsc::Receiver<String>,
}

impl MemoryPeer {
    /// What has arrived and was not read, without waiting.
    pub fn take(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.messages.try_recv().ok()).collect()
    }
}

#[async_trait::async_trait]
impl Sockets for MemorySockets {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        tokio::task::yield_now().await;
        if message.len() > SOCKET_MESSAGE_MAX {
            let (actual, limit) = (message.len() as u64, SOCKET_MESSAGE_MAX as u64);
            return Err(Error::TooLarge { what: "a message to a connection".into(), actual, limit });
        }
        let text = String::from_utf8(message.into())
            .map_err(|_| Error::Invalid("a message to a connection is UTF-8 text".into()))?;
        let mut state = self.lock();
        let Some(sender) = state.open.get(&connection.0) else { return Ok(Posted::Gone) };
        match sender.try_send(text) {
            Ok(()) => Ok(Posted::Sent),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(Posted::Behind),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                state.open.remove(&connection.0);
                Ok(Posted::Gone)
            }
        }
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.lock().open.remove(&connection.0);
        Ok(())
    }
}

#[async_trait::async_trait]
impl SocketPeers for MemorySockets {
    async fn open(&self) -> (ConnectionId, Box<dyn SocketPeer>) {
        let (id, peer) = self.connect();
        (id, Box::new(peer))
    }

    fn shows_slow_readers(&self) -> bool {
        true
    }
}

#[async_trait::async_trait]
impl SocketPeer for MemoryPeer {
    async fn next(&mut self) -> Option<String> {
        self.messages.recv().await
    }

    async fn leave(self: Box<Self>) {}
}
