//! Git over HTTP for stock clients (gitprotocol-http).
//!
//! The client proves itself here: it answers a 401 with a Basic challenge, which the gateway's authorizer does not send.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use cloud::BlobStream;
use domain::Caller;
use function::{App, CorrelationId, Path, Problem, Query, prove};
use futures::{StreamExt, TryStreamExt};
use git_store::http::{Protocol, Service, decode_body};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, PRAGMA};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

pub fn routes() -> Router<App> {
    Router::new()
        .route("/git/{repository}/info/refs", get(advertise))
        .route("/git/{repository}/git-upload-pack", post(upload_pack))
        .route("/git/{repository}/git-receive-pack", post(receive_pack))
}

#[derive(Deserialize)]
struct Advertise {
    service: Option<String>,
}

/// The caller that the headers prove; the challenge that makes git ask for a password when they prove none.
pub(super) async fn caller(app: &App, parts: &Parts) -> Result<Caller, Problem> {
    let principal = prove(&app.identity, &parts.method, &parts.headers).await;
    let principal = principal.map_err(|refused| match Problem::from(refused) {
        problem if problem.status == StatusCode::UNAUTHORIZED => problem.with_basic_challenge(),
        problem => problem,
    })?;
    let correlation = parts.extensions.get::<CorrelationId>().map(|id| id.0.clone()).unwrap_or_default();
    Ok(Caller::new(principal, correlation))
}

/// The project that `{project}.git` names; the ending may be left out, as with other hosts.
pub(super) fn project(repository: &str) -> &str {
    repository.strip_suffix(".git").unwrap_or(repository)
}

fn protocol(headers: &HeaderMap) -> Protocol {
    Protocol::from_header(headers.get("git-protocol").and_then(|value| value.to_str().ok()))
}

async fn advertise(
    State(app): State<App>,
    Path(repository): Path<String>,
    Query(query): Query<Advertise>,
    request: Request,
) -> Result<Response, Problem> {
    let parts = request.into_parts().0;
    let caller = caller(&app, &parts).await?;
    let dumb = || Problem::forbidden("This server speaks the smart protocol alone.");
    let service = Service::parse(&query.service.ok_or_else(dumb)?).map_err(|_| dumb())?;
    let protocol = protocol(&parts.headers);
    let body = app.domain.repository.advertise(&caller, project(&repository), service, protocol).await?;
    Ok(answer(service.advertisement_type(), Body::from(body)))
}

async fn upload_pack(
    State(app): State<App>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller(&app, &parts).await?;
    let protocol = protocol(&parts.headers);
    let body = decoded(Service::UploadPack, &parts.headers, body)?;
    let answered = app.domain.repository.upload_pack(&caller, project(&repository), protocol, body).await?;
    Ok(answer(Service::UploadPack.result_type(), Body::from_stream(answered)))
}

async fn receive_pack(
    State(app): State<App>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = caller(&app, &parts).await?;
    let body = decoded(Service::ReceivePack, &parts.headers, body)?;
    let answered = app.domain.repository.receive_pack(&caller, project(&repository), body).await?;
    Ok(answer(Service::ReceivePack.result_type(), Body::from_stream(answered)))
}

/// The body as the client meant it: unzipped, streaming.
fn decoded(service: Service, headers: &HeaderMap, body: Body) -> Result<BlobStream, Problem> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(CONTENT_TYPE) != Some(service.request_type()) {
        let detail = format!("Send the body as {}.", service.request_type());
        return Err(Problem::unsupported_media_type(detail));
    }
    let stream = body.into_data_stream().map_err(std::io::Error::other).boxed();
    let decoded = decode_body(text(CONTENT_ENCODING), stream);
    decoded.map_err(|error| Problem::unsupported_media_type(format!("{error}.")))
}

fn answer(content_type: &'static str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate")),
        (EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT")),
        (PRAGMA, HeaderValue::from_static("no-cache")),
    ];
    (headers, body).into_response()
}
