//! What CloudWatch Logs answers, as the port's errors.

use std::time::Duration;

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cloud::{Entropy, Error, SystemEntropy};

/// What kind of failure it is, as far as the caller of the service acts on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    NotFound,
    AlreadyExists,
    /// Another change of the same thing runs.
    Aborted,
    /// A quota of the account or the rate of calls.
    Throttled,
    Invalid,
    /// It may have happened.
    Unclear,
    Other,
}

pub(super) fn kind<E, R>(error: &SdkError<E, R>) -> Kind
where
    E: ProvideErrorMetadata,
{
    match error {
        SdkError::DispatchFailure(failed) if failed.as_connector_error().is_some_and(|e| e.is_user()) => Kind::Other,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => Kind::Unclear,
        SdkError::ServiceError(service) => match service.err().code().unwrap_or_default() {
            "ResourceNotFoundException" => Kind::NotFound,
            "ResourceAlreadyExistsException" => Kind::AlreadyExists,
            "OperationAbortedException" => Kind::Aborted,
            "InvalidParameterException" => Kind::Invalid,
            "LimitExceededException" => Kind::Throttled,
            code if code.contains("Throttl") || code == "TooManyRequestsException" => Kind::Throttled,
            "ServiceUnavailableException" | "ServiceUnavailable" | "InternalFailure" | "InternalServerError" => {
                Kind::Unclear
            }
            _ => Kind::Other,
        },
        _ => Kind::Other,
    }
}

/// The port's error for a failed call; `thing` is what is missing when it is not there.
pub(super) fn failed<E, R>(what: String, thing: &str, error: SdkError<E, R>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let message = || {
        let service = error.as_service_error();
        service.and_then(ProvideErrorMetadata::message).unwrap_or("the service refuses it").to_owned()
    };
    match kind(&error) {
        Kind::NotFound => Error::NotFound(thing.to_owned()),
        Kind::Invalid => Error::Invalid(format!("{what}: {}", message())),
        Kind::Throttled | Kind::Aborted => Error::Unavailable(what),
        Kind::Unclear if error.as_service_error().is_some() => Error::Unavailable(what),
        Kind::AlreadyExists | Kind::Other | Kind::Unclear => crate::failure(refusal(what, &error), error),
    }
}

/// Says of a refused credential that it is one: the service's own text tells an operator little.
fn refusal<E, R>(what: String, error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    match code {
        "ExpiredTokenException" | "ExpiredToken" | "RequestExpired" => format!("{what}: the credentials have expired"),
        "UnrecognizedClientException" | "InvalidSignatureException" | "InvalidClientTokenId" => {
            format!("{what}: the credentials are not good")
        }
        "AccessDeniedException" | "AccessDenied" => format!("{what}: the function's role does not allow it"),
        _ => what,
    }
}

/// A pause before try number `attempt` (from 1): doubles, up to `longest`, and anything between half of it and all of
/// it, so that many who were refused at once do not come back at once.
pub(super) fn pause(attempt: u32, first: Duration, longest: Duration) -> Duration {
    let whole = first.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(longest);
    let mut byte = [0];
    SystemEntropy.fill(&mut byte);
    whole / 2 + whole.mul_f64(f64::from(byte[0]) / 512.0)
}
