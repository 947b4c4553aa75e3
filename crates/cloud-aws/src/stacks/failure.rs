//! What CloudFormation and STS refuse, by code.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cloud::Error;

/// A call that failed, with what the service said.
#[derive(Debug)]
pub struct Failure {
    /// The service's code; empty when no answer came.
    pub code: String,
    pub message: String,
    error: Error,
}

impl Failure {
    pub fn of<E, R>(what: &str, error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let (code, message) = match error.as_service_error() {
            Some(said) => (said.code().unwrap_or_default().to_owned(), said.message().unwrap_or_default().to_owned()),
            None => (String::new(), String::new()),
        };
        // The wording of the services, so that a person can look it up.
        let what = if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") };
        Self { code, message, error: crate::failure(what, error) }
    }

    pub fn plain(error: Error) -> Self {
        Self { code: String::new(), message: String::new(), error }
    }

    /// The session's credentials are over.
    pub fn is_expired(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "ExpiredTokenException" | "RequestExpired")
    }

    /// CloudFormation has no code of its own for a stack that is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self.code.as_str(), "ChangeSetNotFound" | "ChangeSetNotFoundException")
            || self.code == "ValidationError" && self.message.contains("does not exist")
    }

    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation")
    }

    /// What the template or its parameters are refused for.
    pub fn is_refusal(&self) -> bool {
        matches!(self.code.as_str(), "ValidationError" | "InsufficientCapabilitiesException" | "LimitExceededException")
    }

    /// The call may have taken effect: its answer was lost, or a service in between failed.
    pub fn is_unclear(&self) -> bool {
        matches!(self.error, Error::Unclear(_) | Error::Unavailable(_))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}
