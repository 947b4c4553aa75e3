//! The one error of the domain. `function::Problem` turns a kind into HTTP.

use std::borrow::Cow;

use crate::policy::STORAGE_FULL;

/// Why a domain method did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not exist, or the caller may not know that it does: the text never tells which.
    #[error("There is no such {0}, or you may not see it.")]
    NotFound(&'static str),
    /// The caller sees the thing, and may not do this to it.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// A value breaks a rule; `field` is the name of the member or parameter that carried it.
    #[error("{message}")]
    Invalid { field: Option<&'static str>, code: InvalidCode, message: String },
    /// The state of the thing does not allow this (now).
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// The thing is not at the version that the caller named.
    #[error("{0} has changed since you read it.")]
    PreconditionFailed(&'static str),
    /// The caller has to name the version that is to be changed.
    #[error("{0}")]
    PreconditionRequired(&'static str),
    /// A size limit was passed; the text names it.
    #[error("{0}")]
    TooLarge(Cow<'static, str>),
    /// A limit of the project or the account is reached.
    #[error("{0}")]
    Quota(Cow<'static, str>),
    /// Tried too often.
    #[error("Too many attempts; try again in {} seconds.", .retry_after.as_secs())]
    RateLimited { retry_after: std::time::Duration },
    /// Briefly away: the same call may be made again.
    #[error("{0} is unavailable; try again.")]
    Unavailable(&'static str),
    /// A failure of ours; the text is for the log, not for the caller.
    #[error("{context}")]
    Internal {
        context: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The stable code of an [`Error::Invalid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidCode {
    /// `validation`
    Value,
    /// `invalid-path`
    Path,
    /// `invalid-ref`
    Ref,
    /// `template-rejected`
    Template,
    /// `url-not-allowed`
    UrlNotAllowed,
    /// `invalid-cursor`; a caller is told `validation` with status 400, as of any request that cannot be read
    Cursor,
}

impl InvalidCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "validation",
            Self::Path => "invalid-path",
            Self::Ref => "invalid-ref",
            Self::Template => "template-rejected",
            Self::UrlNotAllowed => "url-not-allowed",
            Self::Cursor => "invalid-cursor",
        }
    }
}

impl Error {
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field), code: InvalidCode::Value, message: message.into() }
    }

    pub fn invalid_path(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field), code: InvalidCode::Path, message: message.into() }
    }

    pub fn invalid_ref(field: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field), code: InvalidCode::Ref, message: message.into() }
    }

    pub fn invalid_cursor() -> Self {
        Self::Invalid {
            field: Some("cursor"),
            code: InvalidCode::Cursor,
            message: "The cursor is not one of this list.".into(),
        }
    }

    pub fn template(message: impl Into<String>) -> Self {
        Self::Invalid { field: None, code: InvalidCode::Template, message: message.into() }
    }

    /// What git-store says, to a caller who named the `what` in the member or parameter `field`.
    pub(crate) fn git(error: git_store::Error, what: &'static str, field: &'static str) -> Self {
        use git_store::Error as Git;
        match error {
            Git::NotFound(_) => Self::NotFound(what),
            Git::Exists(text) => Self::Conflict(format!("{text}.").into()),
            Git::Invalid(text) | Git::Unpack(text) | Git::Protocol(text) => Self::invalid(field, format!("{text}.")),
            Git::Moved { name, .. } => Self::Conflict(format!("`{name}` has moved; read it again.").into()),
            Git::Refused { reason, .. } if reason == STORAGE_FULL => {
                Self::Quota("The project's storage is used up.".into())
            }
            Git::Refused { name, reason } => Self::Forbidden(format!("`{name}`: {reason}").into()),
            Git::Conflict(text) => Self::Conflict(format!("{text}.").into()),
            Git::TooLarge(text) => Self::TooLarge(format!("{text}.").into()),
            Git::Cloud(cloud::Error::Stale(what)) => Self::PreconditionFailed(what),
            Git::Cloud(error) => error.into(),
            other => Self::internal("a repository failed", other),
        }
    }

    /// What identity says, about the account or member that the caller named.
    pub(crate) fn identity(error: identity::Error, what: &'static str) -> Self {
        use identity::Error as Who;
        match error {
            Who::Invalid { field, message } => Self::invalid(field, format!("{field} {message}.")),
            Who::NotFound(_) | Who::Denied(identity::Denied::NotFound) => Self::NotFound(what),
            Who::RateLimited { retry_after } => Self::RateLimited { retry_after },
            Who::Conflict(text) => Self::Conflict(format!("{text}.").into()),
            Who::Moved(what) => Self::PreconditionFailed(what),
            Who::Denied(identity::Denied::Forbidden) => Self::Forbidden("Your role does not allow this.".into()),
            Who::Store { source, .. } => source.into(),
            Who::Authentication(identity::AuthenticationError::Unavailable(cause)) => Self::identity(*cause, what),
            other => Self::internal("identity failed", other),
        }
    }

    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::Conflict(message.into())
    }

    pub fn internal(context: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal { context: context.into(), source: source.into() }
    }
}

/// A port's refusal that no method has given a meaning of its own.
impl From<cloud::Error> for Error {
    fn from(error: cloud::Error) -> Self {
        match error {
            // A lost answer: where it matters what became of the call, it was read back already.
            cloud::Error::Unavailable(_) | cloud::Error::Unclear(_) => Self::Unavailable("The store"),
            other => Self::internal("a port failed", other),
        }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;
