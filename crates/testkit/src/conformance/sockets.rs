//! `Sockets`, against real client connections that the caller opens.

use std::time::Duration;

use bytes::Bytes;
use cloud::limits::SOCKET_MESSAGE_MAX;
use cloud::{ConnectionId, Error, Posted, Sockets};
use tokio::time::{Instant, sleep, timeout};

use super::{fresh, ok, too_large};

/// How long a message or the end of a connection may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether a connection is gone.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Messages in the tests of order and of many at once.
const MANY: usize = 50;
/// Largest messages that a client which does not read is sent before the adapter must have said so.
const UNREAD_MAX: usize = 1_000;

/// Clients of the gateway behind the adapter.
#[async_trait::async_trait]
pub trait SocketPeers: Send + Sync {
    /// A new connection, open on both ends.
    async fn open(&self) -> (ConnectionId, Box<dyn SocketPeer>);
    /// Whether `post` itself hears that a client does not read: a managed service hides it behind its own buffers.
    fn shows_slow_readers(&self) -> bool {
        false
    }
}

/// One client.
#[async_trait::async_trait]
pub trait SocketPeer: Send {
    /// The next text message; `None` once the connection is closed.
    async fn next(&mut self) -> Option<String>;
    /// Ends the connection from the client's side.
    async fn leave(self: Box<Self>);
}

/// Everything that `Sockets` promises.
pub async fn sockets(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    messages_arrive_whole_and_in_order(adapter, peers).await;
    many_posts_at_once_all_arrive(adapter, peers).await;
    a_message_reaches_its_connection_alone(adapter, peers).await;
    the_limit_is_kept(adapter, peers).await;
    who_left_is_gone(adapter, peers).await;
    who_never_was_is_gone(adapter).await;
    a_closed_connection_is_gone(adapter, peers).await;
    if peers.shows_slow_readers() {
        a_slow_reader_is_no_reason_to_wait(adapter, peers).await;
    }
}

async fn sent(adapter: &dyn Sockets, to: &ConnectionId, text: &str) {
    assert_eq!(ok(adapter.post(to, Bytes::copy_from_slice(text.as_bytes())).await), Posted::Sent, "{to} is open");
}

async fn next(peer: &mut Box<dyn SocketPeer>) -> Option<String> {
    timeout(PATIENCE, peer.next()).await.expect("the client heard nothing")
}

/// An end takes a moment to be noticed; from then on it stays.
async fn becomes_gone(adapter: &dyn Sockets, id: &ConnectionId) {
    let end = Instant::now() + PATIENCE;
    while ok(adapter.post(id, Bytes::from_static(b"late")).await) != Posted::Gone {
        assert!(Instant::now() < end, "{id} has ended and is not gone");
        sleep(LOOK_AGAIN).await;
    }
    assert_eq!(ok(adapter.post(id, Bytes::from_static(b"later")).await), Posted::Gone);
}

async fn messages_arrive_whole_and_in_order(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (id, mut peer) = peers.open().await;
    let mut texts: Vec<String> = (0..MANY).map(|number| format!("message {number}")).collect();
    texts.extend(["Grüße, 世界 👩‍🚀 e\u{301}", "{\"a\": \"\\u0000\"}", "line\nline\r\n\ttab"].map(str::to_owned));
    for text in &texts {
        sent(adapter, &id, text).await;
    }
    for text in &texts {
        assert_eq!(next(&mut peer).await.as_ref(), Some(text), "the messages are out of order, or changed");
    }
    peer.leave().await;
}

async fn many_posts_at_once_all_arrive(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (id, mut peer) = peers.open().await;
    let mut texts: Vec<String> = (0..MANY).map(|number| format!("at once {number:03}")).collect();
    futures::future::join_all(texts.iter().map(|text| sent(adapter, &id, text))).await;
    let mut heard = Vec::new();
    for _ in &texts {
        heard.push(next(&mut peer).await.expect("the connection stays open"));
    }
    heard.sort();
    texts.sort();
    assert_eq!(heard, texts, "messages were lost, doubled or mixed");
    peer.leave().await;
}

async fn a_message_reaches_its_connection_alone(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (one, mut first) = peers.open().await;
    let (two, mut second) = peers.open().await;
    assert_ne!(one, two, "two connections have one id");
    sent(adapter, &one, "for the first").await;
    sent(adapter, &two, "for the second").await;
    assert_eq!(next(&mut first).await.as_deref(), Some("for the first"));
    assert_eq!(next(&mut second).await.as_deref(), Some("for the second"));
    first.leave().await;
    becomes_gone(adapter, &one).await;
    sent(adapter, &two, "still here").await;
    assert_eq!(next(&mut second).await.as_deref(), Some("still here"));
    second.leave().await;
}

async fn the_limit_is_kept(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (id, mut peer) = peers.open().await;
    let largest = "x".repeat(SOCKET_MESSAGE_MAX);
    too_large(adapter.post(&id, format!("{largest}y").into()).await, "a message");
    // The limit is one of bytes, not of characters.
    too_large(adapter.post(&id, "ü".repeat(SOCKET_MESSAGE_MAX / 2 + 1).into()).await, "a message of two-byte letters");
    sent(adapter, &id, &largest).await;
    sent(adapter, &id, "after").await;
    let heard = next(&mut peer).await.expect("the connection stays open");
    assert!(heard == largest, "the largest message came as {} bytes", heard.len());
    assert_eq!(next(&mut peer).await.as_deref(), Some("after"), "of a refused message nothing is sent");
    peer.leave().await;
}

async fn who_left_is_gone(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (id, peer) = peers.open().await;
    sent(adapter, &id, "hello").await;
    peer.leave().await;
    becomes_gone(adapter, &id).await;
    ok(adapter.close(&id).await);
}

async fn who_never_was_is_gone(adapter: &dyn Sockets) {
    for id in [fresh("never"), "L0SM9cOFvHcCIhw=".into(), "not/an id?#%ü".into(), "x".repeat(300)] {
        let id = ConnectionId(id);
        assert_eq!(ok(adapter.post(&id, Bytes::from_static(b"hello")).await), Posted::Gone, "{id}");
        ok(adapter.close(&id).await);
    }
}

async fn a_closed_connection_is_gone(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (id, mut peer) = peers.open().await;
    sent(adapter, &id, "before the close").await;
    ok(adapter.close(&id).await);
    ok(adapter.close(&id).await);
    assert_eq!(next(&mut peer).await.as_deref(), Some("before the close"), "what was sent arrives before the close");
    assert_eq!(next(&mut peer).await, None, "the client hears of the close");
    becomes_gone(adapter, &id).await;
    ok(adapter.close(&id).await);
}

async fn a_slow_reader_is_no_reason_to_wait(adapter: &dyn Sockets, peers: &dyn SocketPeers) {
    let (slow, reader) = peers.open().await;
    let (quick, mut other) = peers.open().await;
    let large = Bytes::from(vec![b'x'; SOCKET_MESSAGE_MAX]);
    let mut refused = false;
    for _ in 0..UNREAD_MAX {
        match timeout(PATIENCE, adapter.post(&slow, large.clone())).await.expect("a post waits for a slow reader") {
            Ok(Posted::Sent) => tokio::task::yield_now().await,
            // API Gateway has one answer, 429, for a full buffer and for too many calls.
            Ok(Posted::Behind) | Err(Error::Unavailable(_)) => {
                refused = true;
                break;
            }
            other => panic!("a slow reader must make `post` `Behind`, not {other:?}"),
        }
    }
    assert!(refused, "messages pile up without a bound for a client that does not read");
    sent(adapter, &quick, "not in its way").await;
    assert_eq!(next(&mut other).await.as_deref(), Some("not in its way"));
    reader.leave().await;
    other.leave().await;
}
