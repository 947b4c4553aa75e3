//! Request bodies, whole and bounded in size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a body may take, and how large it may be.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes.
    pub size: usize,
    /// From one part to the next.
    pub idle: Duration,
    /// All of it.
    pub total: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is over the limit")]
    TooLarge,
    #[error("the body took too long")]
    Slow,
    #[error("the body ended early")]
    Broken,
}

/// Reads the whole body. A declared length over the limit is refused before a byte is asked for, so that a client
/// that waits for `100 Continue` never sends it.
pub async fn read_body(declared: Option<u64>, mut body: Incoming, limits: BodyLimits) -> Result<Bytes, BodyError> {
    use http_body::Body;
    if declared.is_some_and(|length| length > limits.size as u64) {
        return Err(BodyError::TooLarge);
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let deadline = Instant::now() + limits.total;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let frame = timeout_at(deadline, timeout(limits.idle, body.frame()))
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(BodyError::Slow)?;
        let Some(frame) = frame else { break };
        let Ok(part) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        if part.len() + rest.len() + first.as_ref().map_or(0, Bytes::len) > limits.size {
            return Err(BodyError::TooLarge);
        }
        // Most bodies come in one part and are never copied.
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(part),
            (Some(_), _) => {
                let whole = first.take().unwrap_or_default();
                rest.reserve(declared.and_then(|length| usize::try_from(length).ok()).unwrap_or(whole.len() * 2));
                rest.extend_from_slice(&whole);
                rest.extend_from_slice(&part);
            }
            (None, false) => rest.extend_from_slice(&part),
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// Between two parts of a streamed body.
const STREAM_IDLE: Duration = Duration::from_secs(60);

/// A streamed body that fails when the client falls silent.
pub fn patient(body: Incoming) -> impl http_body::Body<Data = Bytes, Error = std::io::Error> + Send {
    use futures::StreamExt;
    let parts = futures::stream::unfold(Some(body), |body| async {
        let mut body = body?;
        match timeout(STREAM_IDLE, body.frame()).await {
            Ok(None) => None,
            Ok(Some(Ok(frame))) => Some((Ok(frame), Some(body))),
            Ok(Some(Err(error))) => Some((Err(std::io::Error::other(error)), None)),
            Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
        }
    });
    http_body_util::StreamBody::new(parts.boxed())
}
