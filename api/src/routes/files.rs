//! The files area: presigned uploads and downloads.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{NewUpload, StoredFile};
use function::{App, Caller, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{PresignedView, ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_upload))
        .routes(routes!(complete_upload))
        .routes(routes!(list_files))
        .routes(routes!(get_stored_file, delete_stored_file))
        .routes(routes!(get_stored_file_content))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateUpload {
    /// Where it is shown in the files area.
    path: String,
    /// Bytes.
    length: u64,
    content_type: String,
    /// 64 hex digits.
    sha256: String,
}

#[derive(Serialize, ToSchema)]
struct UploadView {
    id: String,
    path: String,
    /// When the upload is given up.
    expires: i64,
    /// Send the bytes here, then complete the upload.
    put: PresignedView,
}

#[derive(Serialize, ToSchema)]
struct StoredFileView {
    id: String,
    path: String,
    length: u64,
    content_type: String,
    sha256: String,
    created: i64,
    created_by: String,
}

impl From<StoredFile> for StoredFileView {
    fn from(file: StoredFile) -> Self {
        Self {
            id: file.id.to_string(),
            path: file.path.to_string(),
            length: file.length,
            content_type: file.content_type,
            sha256: file.sha256.to_string(),
            created: file.created.0,
            created_by: file.created_by,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct UploadPath {
    /// The project's slug or id.
    project: String,
    /// The upload's id.
    upload: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct FilePath {
    /// The project's slug or id.
    project: String,
    /// The file's id.
    file: String,
}

/// Starts an upload: gives a URL that takes exactly these bytes.
#[utoipa::path(post, path = "/projects/{project}/uploads", operation_id = "create_upload", tag = "files",
    params(ProjectPath), request_body = CreateUpload, responses((status = 201, body = UploadView), Refusals))]
async fn create_upload(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateUpload>,
) -> Result<Created<UploadView>, Problem> {
    let CreateUpload { path, length, content_type, sha256 } = body;
    let new = NewUpload { path, length, content_type, sha256 };
    let upload = app.domain.files.create_upload(&caller, &at.project, new).await?;
    let location = format!("/projects/{}/uploads/{}/completion", at.project, upload.id);
    let body = UploadView {
        id: upload.id.to_string(),
        path: upload.path.to_string(),
        expires: upload.expires.0,
        put: upload.put.into(),
    };
    Ok(Created { location, etag: None, body })
}

/// Makes a file of an upload whose bytes have arrived. A file that was at the path is replaced.
#[utoipa::path(post, path = "/projects/{project}/uploads/{upload}/completion", operation_id = "complete_upload",
    tag = "files", params(UploadPath),
    responses((status = 200, body = StoredFileView), (status = 201, body = StoredFileView), Refusals))]
async fn complete_upload(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<UploadPath>,
) -> Result<Response, Problem> {
    let (file, new) = app.domain.files.complete_upload(&caller, &at.project, &at.upload).await?;
    let (etag, location) = (file.etag.clone(), format!("/projects/{}/files/{}", at.project, file.id));
    let body = StoredFileView::from(file);
    Ok(if new {
        Created { location, etag: Some(etag), body }.into_response()
    } else {
        Tagged { etag, body }.into_response()
    })
}

/// Lists the files, oldest first.
#[utoipa::path(get, path = "/projects/{project}/files", operation_id = "list_files", tag = "files",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<StoredFileView>), Refusals))]
async fn list_files(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<StoredFileView>>, Problem> {
    let page = app.domain.files.list(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, StoredFileView::from)))
}

/// Shows a file.
#[utoipa::path(get, path = "/projects/{project}/files/{file}", operation_id = "get_stored_file", tag = "files",
    params(FilePath), responses((status = 200, body = StoredFileView), Refusals))]
async fn get_stored_file(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<FilePath>,
) -> Result<Tagged<StoredFileView>, Problem> {
    let file = app.domain.files.get(&caller, &at.project, &at.file).await?;
    Ok(Tagged { etag: file.etag.clone(), body: file.into() })
}

/// Deletes a file. Needs `If-Match`.
#[utoipa::path(delete, path = "/projects/{project}/files/{file}", operation_id = "delete_stored_file", tag = "files",
    params(FilePath), responses((status = 204, description = "Gone."), Refusals))]
async fn delete_stored_file(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<FilePath>,
    IfMatch(expected): IfMatch,
) -> Result<NoContent, Problem> {
    app.domain.files.delete(&caller, &at.project, &at.file, &expected).await?;
    Ok(NoContent)
}

/// Gives a URL that downloads the file.
#[utoipa::path(get, path = "/projects/{project}/files/{file}/content", operation_id = "get_stored_file_content",
    tag = "files", params(FilePath), responses((status = 200, body = PresignedView), Refusals))]
async fn get_stored_file_content(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<FilePath>,
) -> Result<Json<PresignedView>, Problem> {
    Ok(Json(app.domain.files.content_url(&caller, &at.project, &at.file).await?.into()))
}
