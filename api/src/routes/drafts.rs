//! Drafts: the caller's own, and what colleagues have.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Draft, DraftsQuery, SaveDraft};
use function::{
    App, Caller, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, RawBody, Tagged,
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::repository::raw;
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_drafts)).routes(routes!(get_draft, save_draft, delete_draft))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DraftsParams {
    branch: String,
    /// Only drafts of this file.
    path: Option<String>,
    /// Those of all members; needs the permission to write.
    #[serde(default)]
    everyone: bool,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DraftQuery {
    branch: String,
    path: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReadQuery {
    branch: String,
    path: String,
    /// The id of the member whose draft is read; the caller's own when absent. Needs the permission to write.
    account: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SaveQuery {
    branch: String,
    path: String,
    /// The file is to be deleted by the next commit of this draft; the body is empty.
    #[serde(default)]
    deleted: bool,
    /// The commit whose file is edited, 40 hex digits. When absent a new draft begins where the branch is, and an
    /// existing one keeps its base.
    base: Option<String>,
    /// Whether the file is executable; as in the branch when absent.
    executable: Option<bool>,
}

#[derive(Serialize, ToSchema)]
struct DraftView {
    /// The id of the account whose draft it is.
    account: String,
    /// The person's name.
    name: String,
    branch: String,
    path: String,
    /// The file is to be deleted; the draft has no bytes.
    deleted: bool,
    /// The commit that the draft began from, for a three-way merge; `null` when the branch did not exist.
    base: Option<String>,
    /// Bytes.
    length: u64,
    sha256: String,
    executable: bool,
    /// As in the `ETag` header, without quotes.
    etag: String,
    created: i64,
    updated: i64,
}

impl From<Draft> for DraftView {
    fn from(draft: Draft) -> Self {
        Self {
            account: draft.account.to_string(),
            name: draft.name.to_string(),
            branch: draft.branch.to_string(),
            path: draft.path.to_string(),
            deleted: draft.deleted,
            base: draft.base.map(|base| base.to_string()),
            length: draft.length,
            sha256: draft.sha256.to_string(),
            executable: draft.executable,
            etag: draft.etag,
            created: draft.created.0,
            updated: draft.updated.0,
        }
    }
}

/// Lists the caller's drafts on a branch by path, or everyone's by person.
#[utoipa::path(get, path = "/projects/{project}/drafts", operation_id = "list_drafts", tag = "repository",
    params(ProjectPath, DraftsParams), responses((status = 200, body = PageView<DraftView>), Refusals))]
async fn list_drafts(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<DraftsParams>,
) -> Result<Json<PageView<DraftView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let query = DraftsQuery { branch: query.branch, path: query.path, everyone: query.everyone, page };
    let page = app.domain.drafts.list(&caller, &at.project, &query).await?;
    Ok(Json(PageView::of(page, DraftView::from)))
}

/// Reads a draft. One that deletes its file has no content: 204.
#[utoipa::path(get, path = "/projects/{project}/draft", operation_id = "get_draft", tag = "repository",
    params(ProjectPath, ReadQuery),
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 204, description = "The file is to be deleted."), Refusals))]
async fn get_draft(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<ReadQuery>,
) -> Result<Response, Problem> {
    let (drafts, account) = (&app.domain.drafts, query.account.as_deref());
    let (draft, bytes) = drafts.get(&caller, &at.project, &query.branch, &query.path, account).await?;
    let mut answer = raw(bytes, &draft.etag);
    if draft.deleted {
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    Ok(answer)
}

/// Saves a draft: a new one with `If-None-Match: *`, an existing one with `If-Match`.
#[utoipa::path(put, path = "/projects/{project}/draft", operation_id = "save_draft", tag = "repository",
    params(ProjectPath, SaveQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, body = DraftView), (status = 201, body = DraftView), Refusals))]
async fn save_draft(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<SaveQuery>,
    IfMatch(expected): IfMatch,
    RawBody(bytes): RawBody,
) -> Result<Response, Problem> {
    let SaveQuery { branch, path, deleted, base, executable } = query;
    let save = SaveDraft { branch, path, bytes, executable, deleted, base };
    let (draft, new) = app.domain.drafts.save(&caller, &at.project, &expected, save).await?;
    let (etag, body) = (draft.etag.clone(), DraftView::from(draft));
    let location = format!("/projects/{}/drafts", at.project);
    Ok(if new {
        Created { location, etag: Some(etag), body }.into_response()
    } else {
        Tagged { etag, body }.into_response()
    })
}

/// Throws a draft away. Needs `If-Match`.
#[utoipa::path(delete, path = "/projects/{project}/draft", operation_id = "delete_draft", tag = "repository",
    params(ProjectPath, DraftQuery), responses((status = 204, description = "Gone."), Refusals))]
async fn delete_draft(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<DraftQuery>,
    IfMatch(expected): IfMatch,
) -> Result<NoContent, Problem> {
    app.domain.drafts.delete(&caller, &at.project, &query.branch, &query.path, &expected).await?;
    Ok(NoContent)
}
