//! What is around every request: its ids, one log line, its problem, and the headers of every answer.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cloud::{Clock, Entropy};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, ETAG, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use tracing::Instrument;

use crate::caller::gateway_request_id;
use crate::condition::is_known;
use crate::{CorrelationId, Problem, RequestId, metrics, principal_of};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// The area whose bytes are counted.
const GIT_AREA: &str = "git";
/// Longest correlation id that is taken from a client (characters).
const CORRELATION_CHARS_MAX: usize = 64;

#[derive(Clone)]
pub(crate) struct Observed {
    area: Arc<str>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Observed {
    pub fn new(area: String, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { area: area.into(), clock, entropy }
    }
}

/// What the answer depends on, taken before the request is used up.
struct Asked {
    method: Method,
    headers: HeaderMap,
    authenticated: bool,
}

pub(crate) async fn observe(State(observed): State<Observed>, mut request: Request, next: Next) -> Response {
    let started = observed.clock.now();
    let id = gateway_request_id(request.extensions()).unwrap_or_else(|| observed.entropy.ulid(started));
    let correlation = client_correlation(request.headers()).unwrap_or_else(|| id.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(CorrelationId(correlation.clone()));
    let asked = asked(&request);
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let received = received(&request);
    let span = tracing::info_span!(
        "request", request_id = %id, correlation_id = %correlation, area = %observed.area, method = %asked.method, route
    );
    async {
        let (response, code) = told(next.run(request).await, &id);
        let response = conditional(&asked, response);
        let ms = observed.clock.now().since(started).as_millis();
        let ms = u64::try_from(ms).unwrap_or(u64::MAX);
        tracing::info!(status = response.status().as_u16(), ms, code, "answered");
        let response = with_headers(response, &asked, &id);
        let method = asked.method;
        measured(response, Answer { area: observed.area, route, method, ms, code, received, id, correlation })
    }
    .instrument(span)
    .await
}

/// What is measured of an answer, but for the bytes of its body.
struct Answer {
    area: Arc<str>,
    route: String,
    method: Method,
    ms: u64,
    code: Option<&'static str>,
    received: u64,
    id: String,
    correlation: String,
}

impl Answer {
    fn write(&self, status: StatusCode, sent: u64) {
        metrics::answered(&metrics::Answered {
            area: &self.area,
            route: &self.route,
            method: self.method.as_str(),
            status: status.as_u16(),
            ms: self.ms,
            code: self.code,
            git: (*self.area == *GIT_AREA).then_some((self.received, sent)),
            request_id: &self.id,
            correlation_id: &self.correlation,
        });
    }
}

/// Writes the answer's metrics when its last byte is out, or given up.
struct Sending {
    answer: Answer,
    status: StatusCode,
    sent: u64,
}

impl Sending {
    fn count(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.answer.write(self.status, self.sent);
    }
}

fn measured(response: Response, answer: Answer) -> Response {
    let status = response.status();
    if let Some(sent) = response.body().size_hint().exact() {
        answer.write(status, sent);
        return response;
    }
    let mut sending = Sending { answer, status, sent: 0 };
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            sending.count(frame.data_ref().map_or(0, Bytes::len));
            frame
        }))
    })
}

/// Bytes of the request's body: as they lie in memory, or as the client says.
fn received(request: &Request) -> u64 {
    let said = || request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    request.body().size_hint().exact().or_else(said).unwrap_or_default()
}

fn asked(request: &Request) -> Asked {
    let credential = |name| request.headers().contains_key(name);
    Asked {
        method: request.method().clone(),
        authenticated: credential(AUTHORIZATION) || credential(COOKIE) || principal_of(request.extensions()).is_some(),
        headers: request.headers().clone(),
    }
}

fn client_correlation(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_CORRELATION_ID)?.to_str().ok()?;
    let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (plain && (1..=CORRELATION_CHARS_MAX).contains(&id.len())).then(|| id.to_owned())
}

/// Gives a problem its request's id, and logs what the caller is not told; with the problem's code.
fn told(mut response: Response, id: &str) -> (Response, Option<&'static str>) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return (response, None);
    };
    match (&problem.rest.cause, problem.status.is_server_error()) {
        (Some(cause), true) => tracing::error!(code = problem.code, cause, "failed"),
        (None, true) => tracing::error!(code = problem.code, "failed"),
        (cause, false) => tracing::debug!(code = problem.code, cause, "refused"),
    }
    let code = problem.code;
    (problem.render(Some(id)), Some(code))
}

/// Answers 304 to a read of a version that the client has.
fn conditional(asked: &Asked, mut response: Response) -> Response {
    let read = matches!(asked.method, Method::GET | Method::HEAD) && response.status() == StatusCode::OK;
    let known = response.headers().get(ETAG).is_some_and(|etag| is_known(&asked.headers, etag));
    if read && known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        for name in [CONTENT_TYPE, CONTENT_LENGTH] {
            response.headers_mut().remove(name);
        }
    }
    response
}

fn with_headers(response: Response, asked: &Asked, id: &str) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // No answer of the API is a page: raw files of a project must never run as one on this origin.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(policy).or_insert(HeaderValue::from_static("same-origin"));
    if asked.authenticated {
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        headers.append(VARY, HeaderValue::from_static("Authorization, Cookie"));
    }
    response
}
