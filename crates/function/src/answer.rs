//! The shapes of good answers.

use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::{Json, Problem, etag_header};

/// 200 with the version of what is shown.
pub struct Tagged<T> {
    pub etag: String,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        tagged(StatusCode::OK, Some(&self.etag), None, self.body)
    }
}

/// 201 with where the new thing is.
pub struct Created<T> {
    /// A path from the API's root, without a base path.
    pub location: String,
    pub etag: Option<String>,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        tagged(StatusCode::CREATED, self.etag.as_deref(), Some(&self.location), self.body)
    }
}

/// 202 with where the job is.
pub struct Accepted<T> {
    /// A path from the API's root, without a base path.
    pub location: String,
    pub body: T,
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        tagged(StatusCode::ACCEPTED, None, Some(&self.location), self.body)
    }
}

/// 204.
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn tagged(status: StatusCode, etag: Option<&str>, location: Option<&str>, body: impl Serialize) -> Response {
    let mut response = (status, Json(body)).into_response();
    if let Some(etag) = etag.and_then(etag_header) {
        response.headers_mut().insert(ETAG, etag);
    }
    match location.map(HeaderValue::from_str) {
        None => response,
        Some(Ok(location)) => {
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Some(Err(error)) => Problem::internal().because(&error).into_response(),
    }
}
