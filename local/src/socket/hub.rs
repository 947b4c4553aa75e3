//! The open connections, and the `Sockets` port over them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use cloud::limits::SOCKET_MESSAGE_MAX;
use cloud::{ConnectionId, Error, Posted, Result, Sockets};
use tokio::sync::mpsc;

/// Messages that wait for a slow reader.
const WAITING_MAX: usize = 1_024;
/// Bytes that wait for a slow reader.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// What the writer of a connection is to send.
#[derive(Debug)]
pub(super) enum Outgoing {
    Text(String),
    Close { code: u16, reason: &'static str },
}

/// The way into one connection.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    queue: mpsc::Sender<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

/// The writer's end.
pub(super) struct OutboxReader {
    queue: mpsc::Receiver<Outgoing>,
    waiting: Arc<AtomicUsize>,
}

pub(super) fn outbox() -> (Outbox, OutboxReader) {
    let (sender, queue) = mpsc::channel(WAITING_MAX);
    let waiting = Arc::new(AtomicUsize::new(0));
    (Outbox { queue: sender, waiting: Arc::clone(&waiting) }, OutboxReader { queue, waiting })
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Full,
    Closed,
}

impl Outbox {
    /// Queues a text; never waits.
    pub fn text(&self, text: String) -> Result<(), Refused> {
        let size = text.len();
        if self.waiting.fetch_add(size, Ordering::Relaxed) + size > WAITING_BYTES_MAX {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            return Err(if self.queue.is_closed() { Refused::Closed } else { Refused::Full });
        }
        self.queue.try_send(Outgoing::Text(text)).map_err(|refused| {
            self.waiting.fetch_sub(size, Ordering::Relaxed);
            match refused {
                mpsc::error::TrySendError::Full(_) => Refused::Full,
                mpsc::error::TrySendError::Closed(_) => Refused::Closed,
            }
        })
    }

    /// Asks for a close after what waits already. `false` when the queue is full: the connection is to be cut.
    pub fn close(&self, code: u16, reason: &'static str) -> bool {
        !matches!(self.queue.try_send(Outgoing::Close { code, reason }), Err(mpsc::error::TrySendError::Full(_)))
    }
}

impl OutboxReader {
    pub async fn next(&mut self) -> Option<Outgoing> {
        self.queue.recv().await
    }

    /// To be called when a text has been written.
    pub fn written(&self, size: usize) {
        self.waiting.fetch_sub(size, Ordering::Relaxed);
    }
}

struct Member {
    outbox: Outbox,
    /// Ends the connection without ceremony.
    cut: tokio_util::sync::CancellationToken,
}

/// Every open connection of the process.
#[derive(Clone, Default)]
pub struct Hub {
    members: Arc<RwLock<HashMap<String, Member>>>,
}

impl Hub {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.members.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&self, id: &str, outbox: Outbox, cut: tokio_util::sync::CancellationToken) {
        self.members.write().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), Member { outbox, cut });
    }

    pub(super) fn remove(&self, id: &str) {
        self.members.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn outbox(&self, id: &ConnectionId) -> Option<Outbox> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(&id.0).map(|member| member.outbox.clone())
    }

    fn close_one(&self, id: &ConnectionId, code: u16, reason: &'static str) {
        if let Some(member) = self.members.read().unwrap_or_else(PoisonError::into_inner).get(&id.0)
            && !member.outbox.close(code, reason)
        {
            member.cut.cancel();
        }
    }

    /// Closes every connection (1001, going away).
    pub fn close_all(&self) {
        let ids: Vec<_> = self.members.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        for id in ids {
            self.close_one(&ConnectionId(id), 1001, "Going away");
        }
    }
}

#[async_trait::async_trait]
impl Sockets for Hub {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        if message.len() > SOCKET_MESSAGE_MAX {
            return Err(Error::TooLarge {
                what: "a message to a connection".into(),
                actual: message.len() as u64,
                limit: SOCKET_MESSAGE_MAX as u64,
            });
        }
        let text = String::from_utf8(message.into())
            .map_err(|_| Error::Invalid("a message to a connection is UTF-8 text".into()))?;
        let Some(outbox) = self.outbox(connection) else { return Ok(Posted::Gone) };
        match outbox.text(text) {
            Ok(()) => Ok(Posted::Sent),
            Err(Refused::Closed) => Ok(Posted::Gone),
            Err(Refused::Full) => Ok(Posted::Behind),
        }
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        self.close_one(connection, 1000, "Closed by the service");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_for_a_slow_reader_is_bounded() {
        let hub = Hub::new();
        let (outbox, mut reader) = outbox();
        hub.insert("one", outbox, Default::default());
        let id = ConnectionId("one".into());
        let message = Bytes::from(vec![b'x'; SOCKET_MESSAGE_MAX]);
        for _ in 0..WAITING_BYTES_MAX / SOCKET_MESSAGE_MAX {
            assert_eq!(hub.post(&id, message.clone()).await.unwrap(), Posted::Sent);
        }
        assert_eq!(hub.post(&id, message.clone()).await.unwrap(), Posted::Behind);
        let Some(Outgoing::Text(text)) = reader.next().await else { panic!("nothing was queued") };
        reader.written(text.len());
        assert_eq!(hub.post(&id, message).await.unwrap(), Posted::Sent);
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_is_gone() {
        let hub = Hub::new();
        let id = ConnectionId("one".into());
        assert_eq!(hub.post(&id, Bytes::from_static(b"x")).await.unwrap(), Posted::Gone);
        let (outbox, reader) = outbox();
        hub.insert("one", outbox, Default::default());
        drop(reader);
        assert_eq!(hub.post(&id, Bytes::from_static(b"x")).await.unwrap(), Posted::Gone);
        hub.close(&id).await.unwrap();
    }

    #[tokio::test]
    async fn messages_over_the_limit_or_not_text_are_refused() {
        let hub = Hub::new();
        let id = ConnectionId("one".into());
        let large = Bytes::from(vec![b'x'; SOCKET_MESSAGE_MAX + 1]);
        assert!(matches!(hub.post(&id, large).await, Err(Error::TooLarge { .. })));
        assert!(matches!(hub.post(&id, Bytes::from_static(&[255])).await, Err(Error::Invalid(_))));
    }
}
