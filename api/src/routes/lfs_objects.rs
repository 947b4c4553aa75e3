//! Objects of Git LFS for who reads files over REST.

use axum::extract::State;
use domain::LfsPointer;
use function::{App, Caller, Json, Path, Problem, Query};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{PresignedView, Refusals};

const X_LFS_OID: HeaderName = HeaderName::from_static("x-lfs-oid");
const X_LFS_SIZE: HeaderName = HeaderName::from_static("x-lfs-size");

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_lfs_object))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ObjectPath {
    /// The project's slug or id.
    project: String,
    /// The object's SHA-256, 64 lower-case hex digits.
    oid: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ObjectQuery {
    /// What a browser saves it as.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct LfsObjectView {
    oid: String,
    /// Bytes.
    size: u64,
    /// Get the bytes here.
    content: PresignedView,
}

/// Gives a URL that downloads an object of Git LFS.
#[utoipa::path(get, path = "/projects/{project}/lfs/{oid}", operation_id = "get_lfs_object", tag = "repository",
    params(ObjectPath, ObjectQuery), responses((status = 200, body = LfsObjectView), Refusals))]
async fn get_lfs_object(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ObjectPath>,
    Query(query): Query<ObjectQuery>,
) -> Result<Json<LfsObjectView>, Problem> {
    let (object, content) = app.domain.lfs.object(&caller, &at.project, &at.oid, query.name.as_deref()).await?;
    Ok(Json(LfsObjectView { oid: object.oid.to_string(), size: object.size, content: content.into() }))
}

/// Tells a reader of a pointer file what it points at.
pub fn tell(headers: &mut HeaderMap, pointer: &LfsPointer) -> Result<(), Problem> {
    let value = |text: String| HeaderValue::from_str(&text).map_err(|error| Problem::internal().because(&error));
    headers.insert(X_LFS_OID, value(pointer.oid.to_string())?);
    headers.insert(X_LFS_SIZE, value(pointer.size.to_string())?);
    Ok(())
}
