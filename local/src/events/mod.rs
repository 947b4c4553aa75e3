//! The JSON that API Gateway, SQS and DynamoDB Streams exchange with functions, and nothing else.
//!
//! Shapes: API Gateway developer guide ("Lambda proxy integrations", "Lambda authorizers",
//! "WebSocket API"), Lambda developer guide ("Using Lambda with Amazon SQS", "… with DynamoDB").
//!
//! **Invariant**: pure. No I/O, no clock; the platform's functions and users' functions get the same shapes.

mod authorizer;
mod date;
mod http_api;
mod queue;
mod request;
mod response;
mod rest;
mod socket;
mod stream;

pub use authorizer::{
    Authorization, AuthorizerReply, http_request_authorizer_event, parse_authorizer_reply, request_authorizer_event,
    token_authorizer_event,
};
pub use date::timestamp;
pub use http_api::http_event;
pub use queue::{BatchOutcome, QueueMessage, QueueSource, parse_batch_reply, queue_event};
pub use request::{ApiIdentity, AuthorizerContext, GatewayRequest, PathParameters, RouteRef};
pub use response::{FunctionReply, ReplyError, parse_http_reply, parse_rest_reply, parse_streamed_reply};
pub use rest::rest_event;
pub use socket::{SocketApi, SocketEventKind, SocketSession, parse_socket_reply, socket_event};
pub use stream::{StreamSource, stream_event, stream_record};

/// Serializes what cannot fail to serialize: maps with string keys and plain values.
fn to_json(value: &impl serde::Serialize) -> bytes::Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
