//! The ports: what Workroom needs from a cloud, as primitives.
//!
//! Each port is a small trait with one promise that every adapter keeps (the conformance suite
//! in `testkit` checks it). Key layout, compare-and-swap loops, paging and retry live above.
//!
//! **Invariant**: this crate knows no AWS, no disk and no HTTP.

mod access;
mod blobs;
mod bus;
mod clock;
mod error;
mod guarded;
pub mod limits;
mod logs;
mod parameters;
mod ports;
mod queue;
mod records;
mod secret;
mod sockets;
mod stacks;
mod transaction;
mod uploads;

pub use access::{Access, Grants, NotGranted};
pub use blobs::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, PresignGet, PresignPut, Presigned,
    PutCondition, PutOptions, Sha256Digest, collect, stream_of,
};
pub use bus::{BusEvent, EventBus, Published};
pub use clock::{Clock, Entropy, Millis, SystemClock, SystemEntropy};
pub use error::{Error, Result};
pub use guarded::{MakePort, PortMakers};
pub use logs::{LogCursor, LogEvent, LogPage, LogQuery, LogRecord, LogStream, LogTail, LogUpdate, Logs};
pub use parameters::{Parameter, ParameterName, Parameters};
pub use ports::{Ports, StackLogs};
pub use queue::{DeadLetter, Leased, Queue, Receipt, Send as SendMessage};
pub use records::{
    Change, ChangeFeed, ChangeKind, ChangePage, Expect, FeedPosition, RangeQuery, Record, RecordKey, RecordPage,
    Records, Version, Write,
};
pub use secret::Secret;
pub use sockets::{ConnectionId, Posted, Sockets};
pub use stacks::{
    Credentials, DeployRun, DeployStack, EventSink, FunctionView, Inspect, InspectTemplate, Invocation, Invoke,
    PlannedChange, Report, ResourceView, Stack, StackEvent, StackName, StackRules, StackStatus, StackTarget, Stacks,
    UnsupportedItem,
};
pub use transaction::check_writes;
pub use uploads::{PresignPart, UploadId, UploadPart};
