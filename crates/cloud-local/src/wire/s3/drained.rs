//! A request body that can be read to its end after the call let go of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much of a refused body is read (bytes): past that the client finds the connection closed.
const DRAIN_MAX: usize = 256 * 1024 * 1024;
const DRAIN_WAIT: Duration = Duration::from_secs(20);

/// A client that is still sending reads the refusal only if nobody closes the connection on it.
#[derive(Clone)]
pub(super) struct Drained(Arc<Mutex<Incoming>>);

impl Drained {
    pub fn new(body: Incoming) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads and forgets what is left.
    pub async fn drain(mut self) {
        let read = async {
            let mut left = DRAIN_MAX;
            while let Some(Ok(frame)) = self.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // A client that stalls is cut off, which is what was to be done anyway.
        let _ = tokio::time::timeout(DRAIN_WAIT, read).await;
    }

    fn with<T>(&self, f: impl FnOnce(&mut Incoming) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Body for Drained {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.with(|body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
