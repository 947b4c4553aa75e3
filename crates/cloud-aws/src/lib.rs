//! The ports on the AWS SDK. One module and one cargo feature for each service.
//!
//! **Invariant**: only a function's `main.rs` and the adapter tests name this crate. Clients are made when
//! they are first needed, so that a function's cold start pays only for what it uses.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![cfg_attr(not(feature = "all"), allow(dead_code, reason = "each service brings its own caller"))]

#[cfg(feature = "s3")]
mod blobs;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "ssm")]
mod parameters;
#[cfg(feature = "all")]
mod ports;
#[cfg(feature = "sqs")]
mod queue;
#[cfg(feature = "dynamodb")]
mod records;
#[cfg(feature = "sockets")]
mod sockets;
#[cfg(feature = "stacks")]
mod stacks;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

#[cfg(feature = "s3")]
pub use blobs::S3Blobs;
#[cfg(feature = "logs")]
pub use logs::CloudWatchLogs;
#[cfg(feature = "ssm")]
pub use parameters::SsmParameters;
#[cfg(feature = "all")]
pub use ports::PortsSettings;
#[cfg(feature = "sqs")]
pub use queue::SqsQueue;
#[cfg(feature = "dynamodb")]
pub use records::DynamoRecords;
#[cfg(feature = "sockets")]
pub use sockets::ApiGatewaySockets;
#[cfg(feature = "stacks")]
pub use stacks::{CloudFormationStacks, StacksSettings};

/// Calls are tried at most this often, with jitter between them.
const ATTEMPTS_MAX: u32 = 3;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The account and region that the function runs in.
#[derive(Clone)]
pub struct Aws {
    config: SdkConfig,
}

impl Aws {
    /// Reads region and credentials the way every AWS SDK does.
    pub async fn connect() -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .build(),
            )
            .load()
            .await;
        Self { config }
    }

    pub fn config(&self) -> &SdkConfig {
        &self.config
    }
}

/// Turns an SDK failure into the port's error. `what` says what was being done.
pub(crate) fn failure<E, R>(what: impl Into<String>, error: SdkError<E, R>) -> cloud::Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let what = what.into();
    let throttled = |code: &str| {
        code.contains("Throttl")
            || matches!(
                code,
                "SlowDown"
                    | "TooManyRequestsException"
                    | "RequestLimitExceeded"
                    | "InternalError"
                    | "ServiceUnavailable"
            )
    };
    match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            cloud::Error::Unclear(what)
        }
        SdkError::ServiceError(service) if service.err().code().is_some_and(throttled) => {
            cloud::Error::Unavailable(what)
        }
        _ => cloud::Error::other(what, error),
    }
}
