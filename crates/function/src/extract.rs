//! Strict extractors: what does not fit exactly is a problem that says where.

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cloud::limits::GATEWAY_PAYLOAD_MAX;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Problem;

/// Largest JSON body (bytes); larger things are raw bodies or uploads.
pub const JSON_BODY_MAX: usize = 1024 * 1024;

/// A JSON body or answer. The types that are read deny unknown members.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported_media_type("Send the body as application/json."));
        }
        let body = read_body(request, JSON_BODY_MAX).await?;
        serde_json::from_slice(&body).map(Self).map_err(|error| json_problem(&error))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A body of any type, at most what the gateway takes.
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_body(request, GATEWAY_PAYLOAD_MAX).await.map(Self)
    }
}

pub(crate) async fn read_body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if is_too_long(&*error) => Err(Problem::too_large(format!("The body has more than {limit} bytes."))),
        Err(_) => Err(Problem::malformed("The body could not be read.")),
    }
}

/// Whether a limit, ours or one that the server set around us, ended the body.
fn is_too_long(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() || error.is::<BytesRejection>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Query parameters. The types that are read deny unknown ones.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // Gateways and decoders put U+FFFD where bytes are no UTF-8, so that a path would name another file than was meant.
        let mut query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        if query.any(|(name, value)| name.contains('\u{fffd}') || value.contains('\u{fffd}')) {
            return Err(Problem::malformed("The query is not UTF-8."));
        }
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::malformed(without_values("The query", &innermost(&rejection)))),
        }
    }
}

/// Parts of the path. What does not parse names nothing: 404.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Problem::not_found("There is no such thing, or you may not see it.")),
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let place = format!("The body, at line {} column {},", error.line(), error.column());
    match error.classify() {
        serde_json::error::Category::Data => Problem::validation(without_values(&place, &error.to_string())),
        _ => Problem::malformed(format!("{place} is not JSON.")),
    }
}

/// A parser's message without the values that it quotes: they may be secrets.
fn without_values(place: &str, message: &str) -> String {
    let message = message.split(" at line ").next().unwrap_or_default();
    let names_only = ["unknown field", "missing field", "duplicate field"];
    if names_only.iter().any(|kind| message.starts_with(kind)) {
        let bounded: String = message.chars().take(200).collect();
        return format!("{place} has an {bounded}.")
            .replace("an missing", "a missing")
            .replace("an duplicate", "a duplicate");
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("{place} has a value that does not fit: expected {expected}."),
        None => format!("{place} has a value that does not fit."),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its parsing matters")]
    struct Profile {
        name: String,
        age: Option<u8>,
    }

    fn problem(body: &str) -> Problem {
        json_problem(&serde_json::from_str::<Profile>(body).unwrap_err())
    }

    #[test]
    fn authn_018_and_http_020_members_that_nobody_asked_for_are_refused() {
        for body in
            [r#"{"name":"a","role":"admin"}"#, r#"{"name":"a","id":"x"}"#, r#"{"name":"a","email_verified":true}"#]
        {
            let problem = problem(body);
            assert_eq!((problem.status.as_u16(), problem.code), (422, "validation"), "{body}");
        }
    }

    #[test]
    fn a_problem_never_quotes_a_value() {
        for body in [
            r#"{"name":424242}"#,
            r#"{"name":"a","age":"hunter2"}"#,
            r#"{"name":["hunter2"]}"#,
            r#"{"name":"a","age":424242}"#,
        ] {
            let detail = problem(body).detail;
            assert!(!detail.contains("hunter2") && !detail.contains("424242"), "{detail}");
        }
    }

    #[test]
    fn duplicates_garbage_and_deep_nesting_are_refused() {
        assert_eq!(problem(r#"{"name":"a","name":"b"}"#).status, 422);
        for body in ["", "{", "nul", &"[".repeat(100_000)] {
            assert!([400, 422].contains(&problem(body).status.as_u16()), "{body:.10}");
        }
    }
}
