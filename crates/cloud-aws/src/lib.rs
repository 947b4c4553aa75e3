//! The ports on the AWS SDK. One module and one cargo feature for each service.
//!
//! **Invariant**: only a function's `main.rs` and the adapter tests name this crate. Clients are made when
//! they are first needed, so that a function's cold start pays only for what it uses.
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![cfg_attr(
    not(feature = "all"),
    allow(dead_code, unused_mut, unused_variables, reason = "each service brings its own caller")
)]

pub mod access;
mod attempts;
#[cfg(feature = "s3")]
mod blobs;
#[cfg(feature = "builds")]
mod builds;
#[cfg(feature = "events")]
mod bus;
#[cfg(feature = "logs")]
mod logs;
#[cfg(feature = "ssm")]
mod parameters;
mod ports;
#[cfg(feature = "sqs")]
mod queue;
#[cfg(feature = "dynamodb")]
mod records;
#[cfg(feature = "sockets")]
mod sockets;
#[cfg(feature = "stacks")]
mod stacks;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

#[cfg(feature = "s3")]
pub use blobs::S3Blobs;
#[cfg(feature = "builds")]
pub use builds::TenantFunction;
#[cfg(feature = "events")]
pub use bus::EventBridgeBus;
#[cfg(feature = "logs")]
pub use logs::{CloudWatchLogs, LiveTail};
#[cfg(feature = "ssm")]
pub use parameters::SsmParameters;
pub use ports::PortsSettings;
#[cfg(feature = "sqs")]
pub use queue::SqsQueue;
#[cfg(feature = "dynamodb")]
pub use records::{DynamoRecords, RecordsTiming};
#[cfg(feature = "sockets")]
pub use sockets::ApiGatewaySockets;
#[cfg(feature = "stacks")]
pub use stacks::{CloudFormationStacks, StacksSettings};

/// Calls are tried at most this often, with jitter between them.
const ATTEMPTS_MAX: u32 = 3;
/// The longest wait before a second attempt; it doubles with every further one.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// An answer begins within this time. A long body may take longer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The account and region that the function runs in.
#[derive(Clone)]
pub struct Aws {
    config: Arc<OnceLock<SdkConfig>>,
}

impl Aws {
    /// Reads region, credentials and endpoints (`AWS_ENDPOINT_URL`) the way every AWS SDK does, when the first client
    /// is made: a start that calls nothing reads no root certificates.
    pub fn on_first_use() -> Self {
        Self { config: Arc::default() }
    }

    /// Calls as `config` says, with this crate's limits on time and attempts.
    pub fn with(config: SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS_MAX)
            .with_initial_backoff(BACKOFF_FIRST)
            .with_max_backoff(BACKOFF_MAX);
        let config = config.into_builder().retry_config(retries).timeout_config(timeouts).build();
        Self { config: Arc::new(OnceLock::from(config)) }
    }

    pub fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| {
            let read = std::thread::spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map(|runtime| runtime.block_on(aws_config::defaults(BehaviorVersion::latest()).load()))
            });
            // Callers are in a runtime, where nothing may block on a future: hence the thread. It waits for nothing
            // where the region is in the environment, as it is on Lambda.
            let config = read.join().ok().and_then(Result::ok).unwrap_or_else(|| SdkConfig::builder().build());
            Self::with(config).config().clone()
        })
    }
}

/// Codes by which a service asks to slow down or to come back, over all services in use.
pub(crate) fn is_busy(code: &str) -> bool {
    code.contains("Throttl")
        || matches!(
            code,
            "SlowDown"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "ProvisionedThroughputExceededException"
                | "BandwidthLimitExceeded"
                | "PriorRequestNotComplete"
                | "TooManyUpdates"
                | "OverLimit"
                | "InternalError"
                | "InternalFailure"
                | "InternalServerError"
                | "InternalServiceException"
                | "ServiceUnavailable"
                | "ServiceUnavailableException"
        )
}

/// Codes by which a service refuses who calls.
fn is_refused_caller(code: &str) -> Option<&'static str> {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            Some("the credentials have expired")
        }
        "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => Some("the credentials are not accepted"),
        "AccessDenied" | "AccessDeniedException" => Some("the role may not do this"),
        _ => None,
    }
}

/// Turns an SDK failure into the port's error. `what` says what was being done.
pub(crate) fn failure<E, R>(what: impl Into<String>, error: SdkError<E, R>) -> cloud::Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let what = what.into();
    match &error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            cloud::Error::Unclear(what)
        }
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            let raw = (service.raw() as &dyn std::any::Any).downcast_ref::<HttpResponse>();
            let status = raw.map(|raw| raw.status().as_u16());
            // A success that cannot be read.
            if code.is_empty() && status.is_some_and(|status| status < 300) {
                return cloud::Error::Unclear(what);
            }
            if is_busy(code) || status.is_some_and(|status| matches!(status, 429 | 500..)) {
                return cloud::Error::Unavailable(what);
            }
            match is_refused_caller(code) {
                Some(why) => cloud::Error::other(format!("{what}: {why}"), error),
                None => cloud::Error::other(what, error),
            }
        }
        _ => cloud::Error::other(what, error),
    }
}

/// As `failure`, for calls that change nothing: when no answer came, the call may be made again.
pub(crate) fn read_failure<E, R>(what: impl Into<String>, error: SdkError<E, R>) -> cloud::Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match failure(what, error) {
        cloud::Error::Unclear(what) => cloud::Error::Unavailable(what),
        other => other,
    }
}
