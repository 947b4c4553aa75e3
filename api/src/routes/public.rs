//! Liveness, the API document, and the way to the first page.

use axum::response::{IntoResponse, Response};
use function::{App, Json};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_health)).routes(routes!(get_openapi)).routes(routes!(get_root))
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `ok`: an answer is the proof.
    status: &'static str,
}

/// Says that the platform answers.
#[utoipa::path(get, path = "/health", operation_id = "get_health", tag = "public", security(()),
    responses((status = 200, body = Health)))]
async fn get_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_openapi", tag = "public", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document.", content_type = "application/json")))]
async fn get_openapi() -> Response {
    Json(crate::openapi()).into_response()
}

/// Leads to the first page.
#[utoipa::path(get, path = "/", operation_id = "get_root", tag = "public", security(()),
    responses((status = 302, description = "To `/static/index.html`.")))]
async fn get_root() -> Response {
    (StatusCode::FOUND, [(LOCATION, HeaderValue::from_static("/static/index.html"))]).into_response()
}
