//! What can go wrong, by what the caller may be told.

use std::time::Duration;

/// Why a permission was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The caller may not know that the thing exists.
    #[error("there is no such thing here")]
    NotFound,
    /// The caller may know of it, and may not do this.
    #[error("your role or token does not allow this")]
    Forbidden,
}

/// Why a credential was not accepted. All but `Unavailable` look the same from outside.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticationError {
    #[error("no credential was sent")]
    Missing,
    /// Not ours, damaged, forged, or sent twice.
    #[error("the credential is not valid: {0}")]
    Invalid(&'static str),
    #[error("the credential has expired")]
    Expired,
    /// Signed out, taken back, or its account is disabled.
    #[error("the credential was revoked")]
    Revoked,
    /// It could not be checked; the same call may be made again.
    #[error("the credential could not be checked")]
    Unavailable(#[source] Box<Error>),
}

impl From<Error> for AuthenticationError {
    fn from(error: Error) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl From<cloud::Error> for AuthenticationError {
    fn from(error: cloud::Error) -> Self {
        Self::Unavailable(Box::new(error.into()))
    }
}

/// Everything else that identity answers with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value is not acceptable; `message` completes the sentence that starts with `field`.
    #[error("{field} {message}")]
    Invalid { field: &'static str, message: String },
    /// Unknown name, wrong password or disabled account: never said which.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    #[error("too many attempts; try again in {} seconds", .retry_after.as_secs())]
    RateLimited { retry_after: Duration },
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    #[error("the {0} does not exist")]
    NotFound(&'static str),
    /// It clashes with what is there: a taken address, the last owner.
    #[error("{0}")]
    Conflict(String),
    /// It changed since it was read.
    #[error("the {0} has changed since it was read")]
    Moved(&'static str),
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Stored content that does not parse, or a broken key.
    #[error("{0}")]
    Corrupt(String),
    #[error("{context}")]
    Store {
        context: String,
        #[source]
        source: cloud::Error,
    },
}

impl Error {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field, message: message.into() }
    }
}

/// A lost answer is told as an unavailable store: where it matters what became of the call, [`crate::store`] reads back.
impl From<cloud::Error> for Error {
    fn from(source: cloud::Error) -> Self {
        let source = match source {
            cloud::Error::Unclear(what) => cloud::Error::Unavailable(what),
            other => other,
        };
        Self::Store { context: "reading or writing identity records".into(), source }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
