//! Branches, trees and files.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use function::{App, Caller, Created, Json, NoContent, PageParams, PageView, Path, Problem, Query, etag_header};
use git_store::{EntryKind, TreeEntry};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_branches, create_branch))
        .routes(routes!(delete_branch))
        .routes(routes!(list_tree))
}

/// What may be large.
#[derive(Serialize, ToSchema)]
struct BranchView {
    name: String,
    /// 40 hex digits.
    commit: String,
    default: bool,
    /// Only maintainers move it.
    protected: bool,
}

impl From<domain::Branch> for BranchView {
    fn from(branch: domain::Branch) -> Self {
        Self {
            name: branch.name.to_string(),
            commit: branch.commit.to_string(),
            default: branch.default,
            protected: branch.protected,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateBranch {
    name: String,
    /// The branch, tag or commit to start at; the default branch when absent.
    from: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct BranchPath {
    /// The project's slug or id.
    project: String,
    /// The branch's name, with `/` as `%2F`.
    branch: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeleteBranchQuery {
    /// Where the branch must point.
    commit: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TreeQuery {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// A folder; the root when absent.
    path: Option<String>,
    /// Tells the commit that last changed each entry.
    #[serde(default)]
    last_commit: bool,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct EntryView {
    name: String,
    /// `file`, `folder`, `symlink` or `submodule`.
    kind: &'static str,
    /// As git stores it, in octal.
    mode: String,
    oid: String,
    /// Bytes; of files and symlinks.
    size: Option<u64>,
    /// When it was asked for, and the history is not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit: Option<LastCommitView>,
}

#[derive(Serialize, ToSchema)]
struct LastCommitView {
    /// 40 hex digits.
    id: String,
    /// The first line of the message.
    summary: String,
    /// Of the committer.
    time: i64,
    author_name: String,
}

impl From<&git_store::Commit> for LastCommitView {
    fn from(commit: &git_store::Commit) -> Self {
        Self {
            id: commit.oid.to_string(),
            summary: commit.message.lines().next().unwrap_or_default().chars().take(200).collect(),
            time: commit.committer.at.0,
            author_name: commit.author.name.clone(),
        }
    }
}

impl From<TreeEntry> for EntryView {
    fn from(entry: TreeEntry) -> Self {
        let kind = match entry.kind {
            EntryKind::File => "file",
            EntryKind::Folder => "folder",
            EntryKind::Symlink => "symlink",
            EntryKind::Submodule => "submodule",
        };
        Self {
            name: entry.name,
            kind,
            mode: format!("{:06o}", entry.mode),
            oid: entry.oid.to_string(),
            size: entry.size,
            last_commit: None,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct TreeView {
    /// The commit that was read.
    commit: String,
    #[serde(flatten)]
    page: PageView<EntryView>,
}

/// Lists the branches by name.
#[utoipa::path(get, path = "/projects/{project}/branches", operation_id = "list_branches", tag = "repository",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<BranchView>), Refusals))]
async fn list_branches(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<BranchView>>, Problem> {
    let page = app.domain.repository.branches(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, BranchView::from)))
}

/// Makes a branch.
#[utoipa::path(post, path = "/projects/{project}/branches", operation_id = "create_branch", tag = "repository",
    params(ProjectPath), request_body = CreateBranch, responses((status = 201, body = BranchView), Refusals))]
async fn create_branch(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateBranch>,
) -> Result<Created<BranchView>, Problem> {
    let from = body.from.as_deref().unwrap_or("HEAD");
    let branch = app.domain.repository.create_branch(&caller, &at.project, &body.name, from).await?;
    let location = format!("/projects/{}/branches/{}", at.project, branch.name.as_str().replace('/', "%2F"));
    Ok(Created { location, etag: None, body: branch.into() })
}

/// Removes a branch.
#[utoipa::path(delete, path = "/projects/{project}/branches/{branch}", operation_id = "delete_branch",
    tag = "repository", params(BranchPath, DeleteBranchQuery),
    responses((status = 204, description = "Removed."), Refusals))]
async fn delete_branch(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<BranchPath>,
    Query(query): Query<DeleteBranchQuery>,
) -> Result<NoContent, Problem> {
    let branch = at.branch.replace("%2F", "/").replace("%2f", "/");
    app.domain.repository.delete_branch(&caller, &at.project, &branch, query.commit.as_deref()).await?;
    Ok(NoContent)
}

/// Lists a folder.
#[utoipa::path(get, path = "/projects/{project}/tree", operation_id = "list_tree", tag = "repository",
    params(ProjectPath, TreeQuery), responses((status = 200, body = TreeView), Refusals))]
async fn list_tree(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<TreeQuery>,
) -> Result<Json<TreeView>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let reference = query.reference.as_deref().unwrap_or("HEAD");
    let path = query.path.as_deref().unwrap_or_default();
    let tree = app.domain.repository.tree(&caller, &at.project, reference, path, query.last_commit, &page).await?;
    let page = domain::Page { items: tree.page.entries, next: tree.page.next };
    let mut page = PageView::of(page, EntryView::from);
    for (entry, commit) in page.items.iter_mut().zip(tree.touched.iter()) {
        entry.last_commit = commit.as_ref().map(LastCommitView::from);
    }
    Ok(Json(TreeView { commit: tree.commit.to_string(), page }))
}

/// Bytes of a project, which no browser may take for a page of the platform.
pub fn raw(bytes: bytes::Bytes, etag: &str) -> Response {
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    if let Some(etag) = etag_header(etag) {
        headers.insert(ETAG, etag);
    }
    response
}
