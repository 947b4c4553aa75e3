//! One table of limits. They hold on one machine as on AWS.
//!
//! Sources: API Gateway quotas, Lambda quotas, API Gateway WebSocket quotas, DynamoDB quotas,
//! SQS quotas and CloudWatch Logs quotas in the AWS documentation.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// REST API request and response payload (bytes).
pub const GATEWAY_PAYLOAD_MAX: usize = 10 * MIB;
/// REST API request line and headers together (bytes).
pub const GATEWAY_HEADERS_MAX: usize = 10_240;
/// REST API integration timeout.
pub const GATEWAY_TIMEOUT: Duration = Duration::from_secs(29);
/// REST API integration timeout of a streamed response, from the request to its last byte.
pub const GATEWAY_STREAM_TIMEOUT_MAX: Duration = Duration::from_secs(900);
/// A streamed response of a regional REST API ends when nothing came for this long.
pub const GATEWAY_STREAM_IDLE_MAX: Duration = Duration::from_secs(300);
/// What passes of a streamed response of a REST API as fast as it comes (bytes).
pub const GATEWAY_STREAM_UNTHROTTLED: usize = 10 * MIB;
/// How fast the rest of it passes (bytes a second).
pub const GATEWAY_STREAM_RATE: usize = 2 * MIB;
/// Synchronous Lambda invocation payload, each way, after base64 (bytes).
pub const FUNCTION_PAYLOAD_MAX: usize = 6 * MIB;
/// Asynchronous Lambda invocation payload (bytes).
pub const FUNCTION_EVENT_MAX: usize = MIB;
/// Streamed Lambda response (bytes).
pub const FUNCTION_STREAM_MAX: usize = 200 * MIB;
/// Longest Lambda run.
pub const FUNCTION_TIMEOUT_MAX: Duration = Duration::from_secs(900);
/// Longest Lambda initialisation.
pub const FUNCTION_INIT_TIMEOUT: Duration = Duration::from_secs(10);
/// Environment variables of one function, keys and values together (bytes).
pub const FUNCTION_ENVIRONMENT_MAX: usize = 4 * KIB;
/// Unpacked deployment package with its layers (bytes).
pub const FUNCTION_PACKAGE_MAX: usize = 250 * MIB;

/// WebSocket message (bytes).
pub const SOCKET_MESSAGE_MAX: usize = 128 * KIB;
/// WebSocket frame (bytes).
pub const SOCKET_FRAME_MAX: usize = 32 * KIB;
/// An event that is sent whole over a socket (bytes of JSON): one frame. A larger one is sent as a pointer to it.
pub const SOCKET_EVENT_MAX: usize = SOCKET_FRAME_MAX;
/// A WebSocket connection without traffic is closed after this.
pub const SOCKET_IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// A WebSocket connection is closed after this.
pub const SOCKET_LIFE_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// What DynamoDB counts for an item beside its keys and its value: names of attributes, version, expiry (bytes, at most).
const RECORD_OVERHEAD: usize = 128;
/// One record: its keys and the JSON text of its value (bytes).
pub const RECORD_MAX: usize = 400 * KIB - RECORD_OVERHEAD;
/// How deep a record's value may nest; what is stored must be readable again.
pub const RECORD_VALUE_DEPTH_MAX: usize = 100;
/// The partition part of a record key (bytes).
pub const RECORD_PARTITION_MAX: usize = 2048;
/// The sort part of a record key (bytes).
pub const RECORD_SORT_MAX: usize = 1024;
/// Writes in one transaction.
pub const TRANSACTION_WRITES_MAX: usize = 100;
/// One transaction: keys and values of all writes (bytes).
pub const TRANSACTION_MAX: usize = 4 * MIB - TRANSACTION_WRITES_MAX * RECORD_OVERHEAD;
/// One page of a range query (bytes), cut before the item that would pass it.
pub const RECORD_PAGE_MAX: usize = MIB;

/// One queue message (bytes).
pub const QUEUE_MESSAGE_MAX: usize = 256 * KIB;
/// Longest delay of a queue message.
pub const QUEUE_DELAY_MAX: Duration = Duration::from_secs(900);
/// Messages in one receive.
pub const QUEUE_BATCH_MAX: usize = 10;

/// One call that appends log events (bytes, each event counted with 26 bytes more).
pub const LOG_BATCH_MAX: usize = MIB;
/// Events in one append.
pub const LOG_BATCH_EVENTS_MAX: usize = 10_000;
/// What each log event counts more than its text (bytes).
pub const LOG_EVENT_OVERHEAD: usize = 26;
/// One log event, with its overhead (bytes).
pub const LOG_EVENT_MAX: usize = 256 * KIB;
/// Time between the first and the last event of one append.
pub const LOG_BATCH_SPAN_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Events in one page of a read.
pub const LOG_PAGE_EVENTS_MAX: usize = 10_000;

/// One event on a bus, and all of one call (bytes, counted as [`crate::BusEvent::size`] does; EventBridge PutEvents).
pub const BUS_EVENT_MAX: usize = 256 * KIB;
/// Events in one call (EventBridge PutEvents).
pub const BUS_BATCH_MAX: usize = 10;

/// One parameter (bytes; Parameter Store, standard tier).
pub const PARAMETER_MAX: usize = 4 * KIB;

/// Longest life of a presigned URL (Signature Version 4).
pub const PRESIGN_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// One object written by a single PUT (bytes; Amazon S3).
pub const BLOB_PUT_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// A blob key (bytes of UTF-8).
pub const BLOB_KEY_MAX: usize = 1024;
