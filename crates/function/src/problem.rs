//! Errors as `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

/// The address that problem types start with; followed by the code.
const TYPE_BASE: &str = "https://workroom.dev/problems/";
/// The media type of Git LFS's requests and answers.
pub const LFS_MEDIA_TYPE: &str = "application/vnd.git-lfs+json";
const LFS_AUTHENTICATE: HeaderName = HeaderName::from_static("lfs-authenticate");
const LFS_CHALLENGE: &str = "Basic realm=\"Git LFS\", charset=\"UTF-8\"";
/// Longest detail (characters).
const DETAIL_CHARS_MAX: usize = 500;

/// An error as the caller is told it. What only we should know is its cause, and goes to the log.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    /// Stable: clients may depend on it.
    pub code: &'static str,
    pub title: &'static str,
    pub detail: Cow<'static, str>,
    /// The member or parameter that is wrong.
    pub field: Option<String>,
    pub(crate) rest: Box<Rest>,
}

/// What few problems have; apart, so that a `Result` with a problem stays small.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rest {
    pub retry_after: Option<Duration>,
    pub challenge: Option<&'static str>,
    /// Told in the words of Git LFS.
    pub lfs: bool,
    /// For the log alone.
    pub cause: Option<String>,
    /// Members beside those that every problem has (RFC 9457, section 3.2).
    pub members: serde_json::Map<String, serde_json::Value>,
}

/// The wire form of a [`Problem`].
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// The stable code: the last part of `type`.
    pub code: String,
    pub detail: String,
    /// The member or parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Quote it when you ask for help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, code, title, detail: detail.into(), field: None, rest: Box::default() }
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.rest.retry_after = Some(after);
        self
    }

    /// Names the member or parameter that is wrong.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds a member that this kind of problem has.
    #[must_use]
    pub fn with(mut self, name: &str, value: serde_json::Value) -> Self {
        self.rest.members.insert(name.to_owned(), value);
        self
    }

    /// Keeps what went wrong inside for the log; the caller does not see it.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.rest.cause = Some(text);
        self
    }

    /// Asks for a user name and a password, as git clients expect it on a 401.
    #[must_use]
    pub fn with_basic_challenge(mut self) -> Self {
        self.rest.challenge = Some("Basic realm=\"workroom\", charset=\"UTF-8\"");
        self
    }

    /// Tells it as Git LFS's clients read errors (git-lfs, docs/api/batch.md, "Response Errors").
    #[must_use]
    pub fn in_lfs_words(mut self) -> Self {
        if self.status == StatusCode::UNAUTHORIZED {
            self.rest.challenge = Some(LFS_CHALLENGE);
        }
        self.rest.lfs = true;
        self
    }

    fn render_for_lfs(&self, request_id: Option<&str>) -> Response {
        let detail: String = self.detail.chars().take(DETAIL_CHARS_MAX).collect();
        let view = serde_json::json!({
            "message": detail,
            "documentation_url": format!("{TYPE_BASE}{}", self.code),
            "request_id": request_id,
        });
        let mut response = (self.status, view.to_string()).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(LFS_MEDIA_TYPE));
        if self.rest.challenge.is_some() {
            response.headers_mut().insert(LFS_AUTHENTICATE, HeaderValue::from_static(LFS_CHALLENGE));
        }
        response
    }

    pub(crate) fn render(&self, request_id: Option<&str>) -> Response {
        let mut response = if self.rest.lfs { self.render_for_lfs(request_id) } else { self.render_view(request_id) };
        if let Some(challenge) = self.rest.challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(after) = self.rest.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        response
    }

    fn render_view(&self, request_id: Option<&str>) -> Response {
        let view = ProblemView {
            kind: format!("{TYPE_BASE}{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.chars().take(DETAIL_CHARS_MAX).collect(),
            field: self.field.clone(),
            request_id: request_id.map(ToOwned::to_owned),
        };
        let mut body = serde_json::to_value(&view).expect("a problem has only strings and numbers");
        if let Some(body) = body.as_object_mut() {
            body.extend(self.rest.members.clone());
        }
        let body = body.to_string();
        let mut response = (self.status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

/// The problem travels as an extension too, so that the outer layer can add the request's id and log the cause.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// The answer where no route is.
pub async fn not_found() -> Problem {
    Problem::not_found("There is no such route. The routes are listed in /openapi.json.")
}

/// The answer where a route has other methods.
pub async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "Method not allowed",
        "This route does not have this method. The routes are listed in /openapi.json.",
    )
}
