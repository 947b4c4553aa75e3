//! Responses of the gateway's own, and the body types.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::HeadError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// In memory, or streamed.
pub enum ReplyBody {
    Full(Bytes),
    Streamed(UnsyncBoxBody<Bytes, BoxError>),
}

pub type Reply = Response<ReplyBody>;

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut *self {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Streamed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

pub fn full(body: impl Into<Bytes>) -> ReplyBody {
    ReplyBody::Full(body.into())
}

pub fn streamed<B>(body: B) -> ReplyBody
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    ReplyBody::Streamed(UnsyncBoxBody::new(body.map_err(Into::into)))
}

/// A response without a body.
pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// Refuses a head. The connection ends: what follows on it may have been meant as something else.
pub fn refuse(error: HeadError, request_id: &str) -> Reply {
    let code = if error == HeadError::TooLarge { "too-large" } else { "validation" };
    let mut reply = problem(error.status(), code, &error.to_string(), request_id);
    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}

/// A refusal by the gateway itself, as `application/problem+json` (RFC 9457).
pub fn problem(status: StatusCode, code: &str, detail: &str, request_id: &str) -> Reply {
    let body = serde_json::json!({
        "type": format!("https://workroom.dev/problems/{code}"),
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
        "request_id": request_id,
    });
    let mut reply = Response::new(full(body.to_string()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}
