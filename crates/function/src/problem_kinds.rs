//! Which problem each error is: the one place where a kind of error becomes a status.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use identity::{AuthenticationError, Denied};

use crate::{Problem, Refused};

impl Problem {
    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub fn forbidden(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
    }

    pub fn unauthenticated() -> Self {
        let detail = "Sign in, or send a personal access token.";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Unauthenticated", detail);
        problem.rest.challenge = Some("Bearer realm=\"workroom\"");
        problem
    }

    /// A value that breaks a rule: well-formed, and not acceptable.
    pub fn validation(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation", "Not acceptable", detail)
    }

    /// A request that cannot be read.
    pub fn malformed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation", "Malformed request", detail)
    }

    pub fn conflict(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
    }

    /// A merge that needs a person; `conflicts` tells where.
    pub fn merge_conflict(conflicts: serde_json::Value) -> Self {
        let detail = "Both sides changed the same things: send resolutions for the conflicts.";
        Self::new(StatusCode::CONFLICT, "merge-conflict", "Merge conflict", detail).with("conflicts", conflicts)
    }

    pub fn precondition_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", "Precondition failed", detail)
    }

    pub fn precondition_required(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PRECONDITION_REQUIRED, "precondition-required", "Precondition required", detail)
    }

    pub fn too_large(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
    }

    pub fn unsupported_media_type(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type", detail)
    }

    /// The `Idempotency-Key` was used for something else.
    pub fn idempotency_mismatch() -> Self {
        let detail = "This Idempotency-Key was used with another request. Use a new key for a new request.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-mismatch", "Idempotency key reused", detail)
    }

    pub fn rate_limited(retry_after: Duration) -> Self {
        let detail = format!("Too many attempts. Try again in {} seconds.", retry_after.as_secs().max(1));
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Rate limited", detail).retry_after(retry_after)
    }

    pub fn unavailable() -> Self {
        let detail = "A part of the platform is briefly away. Try again.";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable", detail);
        problem.retry_after(Duration::from_secs(1))
    }

    pub fn internal() -> Self {
        let detail = "Something went wrong on our side. It is logged with this request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }
}

impl From<domain::Error> for Problem {
    fn from(error: domain::Error) -> Self {
        use domain::Error as E;
        let cause = error.to_string();
        match error {
            E::NotFound(_) => Self::not_found(cause),
            E::Forbidden(detail) => Self::forbidden(detail),
            E::Invalid { field, code, message } => invalid(field, code, message),
            E::Conflict(detail) => Self::conflict(detail),
            E::PreconditionFailed(_) => Self::precondition_failed(cause),
            E::PreconditionRequired(detail) => Self::precondition_required(detail),
            E::TooLarge(detail) => Self::too_large(detail),
            E::RateLimited { retry_after } => Self::rate_limited(retry_after),
            E::Quota(detail) => Self::new(StatusCode::FORBIDDEN, "quota-exceeded", "Quota exceeded", detail),
            E::Unavailable(_) => Self::unavailable().because(&error),
            E::Internal { .. } => Self::internal().because(&error),
        }
    }
}

fn invalid(field: Option<&'static str>, code: domain::InvalidCode, message: String) -> Problem {
    let mut problem = match code {
        // A cursor is nothing that a person typed: it is forged or stale.
        domain::InvalidCode::Cursor => Problem::malformed(message),
        code => Problem { code: code.as_str(), ..Problem::validation(message) },
    };
    problem.field = field.map(ToOwned::to_owned);
    problem
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        use identity::Error as E;
        match error {
            E::Invalid { field, message } => Self::validation(format!("{field} {message}.")).at(field),
            E::InvalidCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                "invalid-credentials",
                "Invalid credentials",
                "The e-mail address or the password is wrong.",
            ),
            E::RateLimited { retry_after } => Self::rate_limited(retry_after),
            E::Authentication(error) => error.into(),
            E::NotFound(what) => Self::not_found(format!("There is no such {what}, or you may not see it.")),
            E::Conflict(detail) => Self::conflict(format!("{detail}.")),
            E::Moved(what) => Self::precondition_failed(format!("The {what} has changed since you read it.")),
            E::Denied(denied) => denied.into(),
            E::Store { source: cloud::Error::Unavailable(_), .. } => Self::unavailable().because(&error),
            E::Corrupt(_) | E::Store { .. } => Self::internal().because(&error),
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::NotFound => Self::not_found("There is no such thing, or you may not see it."),
            Denied::Forbidden => Self::forbidden("Your role or token does not allow this."),
        }
    }
}

impl From<AuthenticationError> for Problem {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Unavailable(cause) => (*cause).into(),
            _ => Self::unauthenticated(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unauthenticated(error) => error.into(),
            Refused::CrossSite => Self::forbidden("A cross-site request may not use your session."),
        }
    }
}
