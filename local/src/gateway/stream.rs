//! Bodies that are sent on as they come.

use cloud::BlobStream;
use cloud::limits::{FUNCTION_STREAM_MAX, GATEWAY_STREAM_IDLE_MAX};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::{Instant, timeout_at};

use crate::http::{ReplyBody, streamed};

/// The body as long as it keeps the limits of a streamed response: 200 MiB, five minutes of silence, and the
/// integration's time in all. Past one of them it breaks off, so that the client sees that it is not whole.
pub fn stream_until(body: BlobStream, deadline: Instant) -> ReplyBody {
    let parts = futures::stream::unfold(Some((body, 0usize)), move |state| async move {
        let (mut body, sent) = state?;
        let patience = deadline.min(Instant::now() + GATEWAY_STREAM_IDLE_MAX);
        match timeout_at(patience, body.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(part))) if sent + part.len() <= FUNCTION_STREAM_MAX => {
                let sent = sent + part.len();
                Some((Ok(Frame::data(part)), Some((body, sent))))
            }
            Ok(Some(Ok(_))) => {
                tracing::error!("a streamed answer passed the function's limit and was broken off");
                Some((Err(broken("over the limit of a streamed response")), None))
            }
            Ok(Some(Err(error))) => {
                tracing::error!(%error, "a streamed answer broke off");
                Some((Err(error), None))
            }
            Err(_) => {
                tracing::error!("a streamed answer took too long and was broken off");
                Some((Err(broken("the response took too long")), None))
            }
        }
    });
    streamed(StreamBody::new(parts.boxed()))
}

fn broken(why: &'static str) -> std::io::Error {
    std::io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use http_body_util::BodyExt;
    use std::time::Duration;

    const PART: usize = 8 << 20;

    fn endless() -> BlobStream {
        futures::stream::repeat_with(|| Ok(Bytes::from_static(&[0; PART]))).boxed()
    }

    /// The bytes until the body ended, and whether it broke off.
    async fn read(mut body: ReplyBody) -> (usize, bool) {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => bytes += frame.into_data().map_or(0, |part| part.len()),
                Err(_) => return (bytes, true),
            }
        }
        (bytes, false)
    }

    #[tokio::test]
    async fn a_whole_body_passes() {
        let body = futures::stream::iter([Ok(Bytes::from_static(b"ab")), Ok(Bytes::from_static(b"c"))]).boxed();
        let until = Instant::now() + Duration::from_secs(60);
        assert_eq!(read(stream_until(body, until)).await, (3, false));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_breaks_off() {
        let until = Instant::now() + Duration::from_secs(60);
        assert_eq!(read(stream_until(endless(), until)).await, (FUNCTION_STREAM_MAX / PART * PART, true));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_the_deadline_break_it_off() {
        let silent = || futures::stream::iter([Ok(Bytes::from_static(b"a"))]).chain(futures::stream::pending()).boxed();
        let began = Instant::now();
        assert_eq!(read(stream_until(silent(), began + Duration::from_secs(900))).await, (1, true));
        assert_eq!(began.elapsed(), GATEWAY_STREAM_IDLE_MAX);
        let began = Instant::now();
        assert_eq!(read(stream_until(silent(), began + Duration::from_secs(29))).await, (1, true));
        assert_eq!(began.elapsed(), Duration::from_secs(29));
    }
}
