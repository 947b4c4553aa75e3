//! Bodies that are sent on as they come.

use std::time::Duration;

use bytes::Bytes;
use cloud::BlobStream;
use cloud::limits::{FUNCTION_STREAM_MAX, GATEWAY_STREAM_IDLE_MAX, GATEWAY_STREAM_RATE, GATEWAY_STREAM_UNTHROTTLED};
use futures::StreamExt;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::http::{ReplyBody, streamed};

/// What is sent at once when the rate is limited (bytes): an eighth of a second.
const SLICE: usize = GATEWAY_STREAM_RATE / 8;

/// The body as long as it keeps the limits of a streamed response: 200 MiB, five minutes of silence, and the
/// integration's time in all. Past one of them it breaks off, so that the client sees that it is not whole. Its first
/// 10 MiB pass as they come, the rest at 2 MiB a second.
pub fn stream_until(body: BlobStream, deadline: Instant) -> ReplyBody {
    let sending = Sending { body, deadline, sent: 0, rest: Bytes::new(), ready: Instant::now() };
    let parts = futures::stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Ok(part) => part.map(|part| (Ok(Frame::data(part)), Some(sending))),
            Err(error) => {
                tracing::error!(%error, "a streamed answer was broken off");
                Some((Err(error), None))
            }
        }
    });
    streamed(StreamBody::new(parts.boxed()))
}

struct Sending {
    body: BlobStream,
    deadline: Instant,
    /// Bytes that were handed on.
    sent: usize,
    /// What has come and was not handed on yet.
    rest: Bytes,
    /// When the rate allows more, once the bytes that pass as they come are used up.
    ready: Instant,
}

impl Sending {
    /// What is sent next, when it may be sent; `None` at the end.
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.rest.is_empty() {
            match self.come().await? {
                Some(part) => self.rest = part,
                None => return Ok(None),
            }
        }
        let free = GATEWAY_STREAM_UNTHROTTLED.saturating_sub(self.sent);
        let part = if free > 0 {
            self.rest.split_to(self.rest.len().min(free))
        } else {
            let part = self.rest.split_to(self.rest.len().min(SLICE));
            self.wait().await?;
            self.ready = Instant::now() + Duration::from_secs_f64(part.len() as f64 / GATEWAY_STREAM_RATE as f64);
            part
        };
        self.sent += part.len();
        Ok(Some(part))
    }

    /// The next part of the body.
    async fn come(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            let silence = Instant::now() + GATEWAY_STREAM_IDLE_MAX;
            let next = timeout_at(self.deadline.min(silence), self.body.next()).await;
            let Some(part) = next.map_err(|_| broken("the response took too long"))?.transpose()? else {
                return Ok(None);
            };
            if self.sent + part.len() > FUNCTION_STREAM_MAX {
                return Err(broken("over the limit of a streamed response"));
            }
            if !part.is_empty() {
                return Ok(Some(part));
            }
        }
    }

    /// Until the rate allows more.
    async fn wait(&mut self) -> std::io::Result<()> {
        sleep_until(self.ready.min(self.deadline)).await;
        if self.ready > self.deadline { Err(broken("the response took too long")) } else { Ok(()) }
    }
}

fn broken(why: &'static str) -> std::io::Error {
    std::io::Error::other(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    const PART: usize = 8 << 20;

    fn endless() -> BlobStream {
        futures::stream::repeat_with(|| Ok(Bytes::from_static(&[0; PART]))).boxed()
    }

    fn of(bytes: usize) -> BlobStream {
        let parts = [vec![Bytes::from_static(&[7; PART]); bytes / PART], vec![Bytes::from(vec![7; bytes % PART])]];
        futures::stream::iter(parts.concat().into_iter().map(Ok)).boxed()
    }

    fn in_time() -> Instant {
        Instant::now() + Duration::from_secs(900)
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

    #[tokio::test(start_paused = true)]
    async fn ten_megabytes_pass_as_they_come_and_the_rest_at_two_a_second() {
        let began = Instant::now();
        assert_eq!(read(stream_until(of(GATEWAY_STREAM_UNTHROTTLED), in_time())).await.0, GATEWAY_STREAM_UNTHROTTLED);
        assert_eq!(began.elapsed(), Duration::ZERO);
        let more = GATEWAY_STREAM_UNTHROTTLED + 3 * GATEWAY_STREAM_RATE;
        assert_eq!(read(stream_until(of(more), in_time())).await, (more, false));
        let took = began.elapsed();
        assert!((Duration::from_millis(2_800)..Duration::from_millis(3_200)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_function_is_not_slowed_down_further() {
        // A megabyte a second is under the rate: each part passes when it comes.
        let ticks = tokio::time::interval(Duration::from_secs(1));
        let slow = futures::stream::unfold((ticks, 0), |(mut ticks, count)| async move {
            ticks.tick().await;
            (count < 20).then(|| (Ok(Bytes::from_static(&[0; 1 << 20])), (ticks, count + 1)))
        });
        let began = Instant::now();
        assert_eq!(read(stream_until(slow.boxed(), in_time())).await, (20 << 20, false));
        let took = began.elapsed();
        assert!((Duration::from_secs(20)..Duration::from_secs(21)).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn a_body_and_its_empty_parts_pass() {
        let parts = [Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"c")];
        assert_eq!(read(stream_until(futures::stream::iter(parts.map(Ok)).boxed(), in_time())).await, (3, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_over_the_limit_breaks_off() {
        assert_eq!(read(stream_until(endless(), in_time())).await, (FUNCTION_STREAM_MAX / PART * PART, true));
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
        // Time that the rate takes counts too.
        let began = Instant::now();
        let (bytes, broke) = read(stream_until(endless(), began + Duration::from_secs(10))).await;
        assert!(broke && bytes <= GATEWAY_STREAM_UNTHROTTLED + 10 * GATEWAY_STREAM_RATE + SLICE, "{bytes}");
        assert_eq!(began.elapsed(), Duration::from_secs(10));
    }
}
