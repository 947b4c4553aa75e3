//! What a failed transaction means ("Error handling with DynamoDB").

use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cloud::{Entropy, SystemEntropy};

/// What a failed call means for who made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing happened; the same call may be made again.
    Busy,
    /// It may have happened.
    Unclear,
    /// It is refused, and will be again.
    Refused,
}

pub(super) fn kind<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Kind {
    match error {
        SdkError::DispatchFailure(failed) if failed.as_connector_error().is_some_and(|e| e.is_user()) => Kind::Refused,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Kind::Unclear,
        SdkError::ServiceError(service) => match service.err().code().unwrap_or_default() {
            // Our own call, whose answer did not come, still runs.
            "TransactionInProgressException" => Kind::Unclear,
            _ if service.raw().status().is_server_error() => Kind::Unclear,
            "ReplicatedWriteConflictException" => Kind::Busy,
            code if crate::is_busy(code) => Kind::Busy,
            _ => Kind::Refused,
        },
        _ => Kind::Refused,
    }
}

/// A pause before try number `attempt` + 1 (from 1): doubles up to `longest`, and is anything up to the whole of it, so
/// that many who were refused at once do not come back at once.
pub(super) fn pause(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    let mut random = [0; 2];
    SystemEntropy.fill(&mut random);
    whole.mul_f64(f64::from(u16::from_be_bytes(random)) / f64::from(u16::MAX))
}
