//! The AWS service endpoint: wire protocols over the local store.
//!
//! One port (and one Unix socket, for sandboxes) speaks Amazon S3, CloudWatch Logs, SQS, Lambda's Invoke,
//! SSM parameters, STS and, through a companion process, DynamoDB. A request is known by the service in
//! its Signature Version 4 credential scope, and sees only what the scope of its key holds.
//!
//! **Invariant**: no call reaches a service before its signature is verified.

mod cors;
mod dispatch;
mod dynamodb;
mod forward;
mod lambda;
mod logs;
mod parameters;
mod queues;
mod reply;
mod s3;
mod server;
mod sigv4;
mod sts;

use std::sync::Arc;

use cloud::{Clock, Stacks};

use crate::Store;
use crate::access_keys::AccessKeys;

pub use dynamodb::{DynamoDb, DynamoDbSettings};
pub use forward::Emulator;
pub use parameters::parameter_name;
pub use queues::{OpenQueue, QueueSpec, Queues, RedriveSpec};
pub use server::serve;

/// The account that ARNs and queue URLs of this machine name.
pub const ACCOUNT_ID: &str = "000000000000";

/// What the endpoint serves.
pub struct WireSettings {
    pub store: Store,
    pub keys: AccessKeys,
    pub clock: Arc<dyn Clock>,
    /// Runs what Lambda's Invoke asks for.
    pub stacks: Arc<dyn Stacks>,
    pub dynamodb: DynamoDb,
    /// Takes the calls to services that this endpoint does not serve.
    pub emulator: Option<Emulator>,
    /// Where the endpoint answers (`http://127.0.0.1:4001`): queue URLs start with it.
    pub endpoint: String,
    /// Origins besides those of this machine (`localhost`, `*.localhost`, loopback addresses) whose pages may use
    /// presigned URLs.
    pub origins: Vec<String>,
}
