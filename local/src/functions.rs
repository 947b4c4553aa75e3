//! How the gateway and the sources call functions, wherever these run.

use bytes::Bytes;
use cloud::BlobStream;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use futures::StreamExt;
use http::{HeaderMap, StatusCode};

use crate::events::parse_streamed_reply;

/// Why an invocation has no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The function ran and failed; `message` is its `errorMessage`.
    #[error("the function failed: {message}")]
    Unhandled { message: String },
    #[error("the function ran longer than its timeout")]
    TimedOut,
    /// The event is over 6 MB.
    #[error("the event is over the function's payload limit")]
    EventTooLarge,
    /// The answer is over 6 MB.
    #[error("the answer is over the function's payload limit")]
    ReplyTooLarge,
    #[error("too many invocations at once")]
    Throttled,
    /// No such function, or nothing to run it with.
    #[error("{0}")]
    Unavailable(String),
}

/// An answer whose body comes in parts, up to 200 MiB. The body breaks off where the function fails.
pub struct StreamedReply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: BlobStream,
}

/// The functions of one system, by logical id.
#[async_trait::async_trait]
pub trait Functions: Send + Sync {
    /// Invokes synchronously with a JSON event of at most 6 MiB; the answer is JSON of at most 6 MiB.
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError>;

    /// Invokes with a streamed response: its head as JSON, eight zero bytes, then the body. A function whose answers
    /// are collected gives it all at once, and is bound by the limit of those.
    async fn invoke_streamed(&self, function: &str, event: Bytes) -> Result<StreamedReply, InvokeError> {
        let answer = self.invoke(function, event).await?;
        let (reply, body) = parse_streamed_reply(&answer)
            .map_err(|error| InvokeError::Unhandled { message: format!("{error}, as a streamed response is read") })?;
        let body = futures::stream::iter([Ok(body)]).boxed();
        Ok(StreamedReply { status: reply.status, headers: reply.headers, body })
    }
}

/// Refuses an event over the limit.
pub fn check_event(event: &Bytes) -> Result<(), InvokeError> {
    if event.len() > FUNCTION_PAYLOAD_MAX { Err(InvokeError::EventTooLarge) } else { Ok(()) }
}

/// Refuses an answer over the limit.
pub fn check_reply(reply: Bytes) -> Result<Bytes, InvokeError> {
    if reply.len() > FUNCTION_PAYLOAD_MAX { Err(InvokeError::ReplyTooLarge) } else { Ok(reply) }
}
