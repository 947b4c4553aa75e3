//! The files area: presigned uploads and downloads.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{NewUpload, PartDigest, PartPlan, PartStatus, StoredFile, UploadState, UploadStatus};
use function::{App, Caller, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{PresignedView, ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_upload))
        .routes(routes!(get_upload, delete_upload))
        .routes(routes!(create_upload_parts))
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
    /// Send the bytes here, then complete the upload. Absent when the file goes in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    put: Option<PresignedView>,
    /// Of a file of more than 64 MiB: ask for a URL for each, send them in any order, then complete the upload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<PartPlanView>,
}

/// A part of an upload: the bytes from `offset` on.
#[derive(Serialize, ToSchema)]
struct PartPlanView {
    /// From 1 on.
    number: u32,
    offset: u64,
    /// Bytes.
    size: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateUploadParts {
    /// At most 100.
    numbers: Vec<PartDigestBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PartDigestBody {
    number: u32,
    /// Of the part, 64 hex digits.
    sha256: String,
}

#[derive(Serialize, ToSchema)]
struct UploadPartsView {
    parts: Vec<SignedPartView>,
}

#[derive(Serialize, ToSchema)]
struct SignedPartView {
    number: u32,
    /// Send the part here.
    put: PresignedView,
}

/// How far an upload is.
#[derive(Serialize, ToSchema)]
struct UploadStatusView {
    id: String,
    path: String,
    length: u64,
    /// `waiting` or `completed`.
    state: &'static str,
    /// When the upload is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<i64>,
    /// Empty when the upload is one PUT, or complete.
    parts: Vec<PartStatusView>,
}

#[derive(Serialize, ToSchema)]
struct PartStatusView {
    number: u32,
    offset: u64,
    /// Bytes.
    size: u64,
    received: bool,
}

impl From<PartPlan> for PartPlanView {
    fn from(PartPlan { number, offset, size }: PartPlan) -> Self {
        Self { number, offset, size }
    }
}

impl From<PartStatus> for PartStatusView {
    fn from(PartStatus { plan: PartPlan { number, offset, size }, received }: PartStatus) -> Self {
        Self { number, offset, size, received }
    }
}

impl From<UploadStatus> for UploadStatusView {
    fn from(upload: UploadStatus) -> Self {
        let state = match upload.state {
            UploadState::Waiting => "waiting",
            UploadState::Completed => "completed",
        };
        Self {
            id: upload.id.to_string(),
            path: upload.path.to_string(),
            length: upload.length,
            state,
            expires: upload.expires.map(|at| at.0),
            parts: upload.parts.into_iter().map(PartStatusView::from).collect(),
        }
    }
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

/// Starts an upload: gives a URL that takes exactly these bytes, or the parts of a file of more than 64 MiB.
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
        put: upload.put.map(PresignedView::from),
        parts: upload.parts.into_iter().map(PartPlanView::from).collect(),
    };
    Ok(Created { location, etag: None, body })
}

/// Shows how far an upload is, so that a client can go on with it.
#[utoipa::path(get, path = "/projects/{project}/uploads/{upload}", operation_id = "get_upload", tag = "files",
    params(UploadPath), responses((status = 200, body = UploadStatusView), Refusals))]
async fn get_upload(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<UploadPath>,
) -> Result<Json<UploadStatusView>, Problem> {
    Ok(Json(app.domain.files.upload_status(&caller, &at.project, &at.upload).await?.into()))
}

/// Gives an upload up.
#[utoipa::path(delete, path = "/projects/{project}/uploads/{upload}", operation_id = "delete_upload", tag = "files",
    params(UploadPath), responses((status = 204, description = "Gone."), Refusals))]
async fn delete_upload(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<UploadPath>,
) -> Result<NoContent, Problem> {
    app.domain.files.cancel_upload(&caller, &at.project, &at.upload).await?;
    Ok(NoContent)
}

/// Gives URLs that take parts with exactly these digests.
#[utoipa::path(post, path = "/projects/{project}/uploads/{upload}/parts", operation_id = "create_upload_parts",
    tag = "files", params(UploadPath), request_body = CreateUploadParts,
    responses((status = 200, body = UploadPartsView), Refusals))]
async fn create_upload_parts(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<UploadPath>,
    Json(body): Json<CreateUploadParts>,
) -> Result<Json<UploadPartsView>, Problem> {
    let digest = |PartDigestBody { number, sha256 }| PartDigest { number, sha256 };
    let numbers = body.numbers.into_iter().map(digest).collect();
    let signed = app.domain.files.sign_parts(&caller, &at.project, &at.upload, numbers).await?;
    let parts = signed.into_iter().map(|(number, put)| SignedPartView { number, put: put.into() }).collect();
    Ok(Json(UploadPartsView { parts }))
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
