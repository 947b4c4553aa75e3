//! Packets on their way, and something to hear while there is none.

use std::time::Duration;

use bytes::Bytes;
use cloud::BlobStream;
use futures::StreamExt;
use tokio::sync::mpsc::Receiver;

/// How long a client hears nothing before it is told that work goes on (git's own `uploadpack.keepAlive`).
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Nothing, on band 1.
const NOTHING: &[u8] = b"0005\x01";

/// What is received, with an empty packet whenever nothing came for a while; only where packets are banded.
pub(super) fn keep_alive(receiver: Receiver<Bytes>, is_banded: bool) -> BlobStream {
    keep_alive_after(KEEP_ALIVE, receiver, is_banded)
}

fn keep_alive_after(silence: Duration, receiver: Receiver<Bytes>, is_banded: bool) -> BlobStream {
    let state = (receiver, false);
    futures::stream::unfold(state, move |(mut receiver, begun)| async move {
        // Before the first packet nobody knows yet that the answer is banded.
        if !is_banded || !begun {
            return receiver.recv().await.map(|bytes| (Ok(bytes), (receiver, true)));
        }
        match tokio::time::timeout(silence, receiver.recv()).await {
            Ok(received) => received.map(|bytes| (Ok(bytes), (receiver, true))),
            Err(_) => Some((Ok(Bytes::from_static(NOTHING)), (receiver, true))),
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_hears_something_while_work_goes_on() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let mut packets = keep_alive_after(Duration::from_millis(1), receiver, true);
        sender.send(Bytes::from_static(b"first")).await.unwrap();
        assert_eq!(packets.next().await.unwrap().unwrap(), "first");
        assert_eq!(packets.next().await.unwrap().unwrap(), NOTHING);
        sender.send(Bytes::from_static(b"last")).await.unwrap();
        drop(sender);
        let rest: Vec<Bytes> = packets.map(Result::unwrap).collect().await;
        assert_eq!(rest.last().unwrap(), "last");
    }

    #[tokio::test]
    async fn a_bare_pack_has_nothing_between_its_bytes() {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let packets = keep_alive_after(Duration::from_millis(1), receiver, false);
        tokio::spawn(async move {
            for part in ["first", "last"] {
                let _ = sender.send(Bytes::from_static(part.as_bytes())).await;
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        });
        let all: Vec<Bytes> = packets.map(Result::unwrap).collect().await;
        assert_eq!(all, ["first", "last"]);
    }
}
