//! Commits and what they changed.

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Change, LogFor, NewCommit, PageQuery};
use function::{App, Caller, Created, Json, PageParams, PageView, Path, Problem, Query};
use git_store::{Commit, DiffHunk, DiffLine, DiffLineKind, FileDiff, FileStatus, Signature};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_commit, list_commits))
        .routes(routes!(get_commit))
        .routes(routes!(get_diff))
        .routes(routes!(get_comparison))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateCommit {
    branch: String,
    /// The commit that you saw at the branch; absent only when the branch is new.
    expected_head: Option<String>,
    message: String,
    /// Paths of your drafts on the branch.
    #[serde(default)]
    drafts: Vec<String>,
    /// Applied after the drafts, in order.
    #[serde(default)]
    changes: Vec<ChangeBody>,
    /// Your own commit at the head of the branch: this one takes its place. Refused (409) once others have it.
    amend: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
enum ChangeBody {
    /// Writes a file: `content` as text, or `content_base64`.
    Put { path: String, content: Option<String>, content_base64: Option<String>, executable: Option<bool> },
    /// As `put`, of a file that is not there yet.
    Create { path: String, content: Option<String>, content_base64: Option<String>, executable: Option<bool> },
    /// As `put`, of a file that is there.
    Update { path: String, content: Option<String>, content_base64: Option<String>, executable: Option<bool> },
    /// Removes a file or folder.
    Delete { path: String },
    /// Moves a file or folder.
    Move { from: String, to: String },
    /// Makes a file executable, or plain.
    Mode { path: String, executable: bool },
}

impl ChangeBody {
    fn read(self) -> Result<Change, Problem> {
        match self {
            Self::Put { path, content, content_base64, executable } => {
                Ok(Change::Put { path, bytes: content_of(content, content_base64)?, executable })
            }
            Self::Create { path, content, content_base64, executable } => {
                Ok(Change::Create { path, bytes: content_of(content, content_base64)?, executable })
            }
            Self::Update { path, content, content_base64, executable } => {
                Ok(Change::Update { path, bytes: content_of(content, content_base64)?, executable })
            }
            Self::Delete { path } => Ok(Change::Delete { path }),
            Self::Mode { path, executable } => Ok(Change::Mode { path, executable }),
            Self::Move { from, to } => Ok(Change::Move { from, to }),
        }
    }
}

pub(super) fn content_of(text: Option<String>, base64: Option<String>) -> Result<bytes::Bytes, Problem> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into()),
        (None, Some(raw)) => match STANDARD.decode(raw) {
            Ok(bytes) => Ok(bytes.into()),
            Err(_) => Err(Problem::validation("content_base64 is not base64.").at("content_base64")),
        },
        _ => Err(Problem::validation("A put has either content or content_base64.").at("content")),
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct SignatureView {
    name: String,
    email: String,
    at: i64,
    /// Minutes east of UTC.
    offset_minutes: i32,
}

impl From<Signature> for SignatureView {
    fn from(signature: Signature) -> Self {
        let Signature { name, email, at, offset_minutes } = signature;
        Self { name, email, at: at.0, offset_minutes }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct CommitView {
    /// 40 hex digits.
    id: String,
    tree: String,
    parents: Vec<String>,
    author: SignatureView,
    committer: SignatureView,
    message: String,
}

impl From<Commit> for CommitView {
    fn from(commit: Commit) -> Self {
        Self {
            id: commit.oid.to_string(),
            tree: commit.tree.to_string(),
            parents: commit.parents.iter().map(ToString::to_string).collect(),
            author: commit.author.into(),
            committer: commit.committer.into(),
            message: commit.message,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct FileDiffView {
    old_path: Option<String>,
    new_path: Option<String>,
    /// 40 hex digits.
    old_blob: Option<String>,
    new_blob: Option<String>,
    /// As git stores it, in octal.
    old_mode: Option<String>,
    new_mode: Option<String>,
    /// `added`, `deleted`, `modified`, `renamed`, `copied` or `type_changed`.
    status: &'static str,
    additions: usize,
    deletions: usize,
    binary: bool,
    /// Unified text; absent when the file is binary or the patch too long.
    patch: Option<String>,
    /// The same line by line, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    hunks: Option<Vec<DiffHunkView>>,
}

#[derive(Serialize, ToSchema)]
struct DiffHunkView {
    /// From 1 on; of no lines, the line before.
    old_start: usize,
    old_lines: usize,
    new_start: usize,
    new_lines: usize,
    header: String,
    lines: Vec<DiffLineView>,
}

#[derive(Serialize, ToSchema)]
struct DiffLineView {
    /// `context`, `added` or `removed`.
    kind: &'static str,
    text: String,
    /// The file ends here, without a line end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    no_newline: bool,
}

impl From<DiffHunk> for DiffHunkView {
    fn from(hunk: DiffHunk) -> Self {
        let line = |line: DiffLine| DiffLineView {
            kind: match line.kind {
                DiffLineKind::Context => "context",
                DiffLineKind::Added => "added",
                DiffLineKind::Removed => "removed",
            },
            text: line.text,
            no_newline: line.no_newline,
        };
        let DiffHunk { old_start, old_lines, new_start, new_lines, header, lines } = hunk;
        let lines = lines.into_iter().map(line).collect();
        Self { old_start, old_lines, new_start, new_lines, header, lines }
    }
}

impl From<FileDiff> for FileDiffView {
    fn from(file: FileDiff) -> Self {
        let status = match file.status {
            FileStatus::Added => "added",
            FileStatus::Deleted => "deleted",
            FileStatus::Modified => "modified",
            FileStatus::Renamed => "renamed",
            FileStatus::Copied => "copied",
            FileStatus::TypeChanged => "type_changed",
        };
        Self {
            old_path: file.old_path,
            new_path: file.new_path,
            old_blob: file.old_blob.map(|oid| oid.to_string()),
            new_blob: file.new_blob.map(|oid| oid.to_string()),
            old_mode: file.old_mode.map(|mode| format!("{mode:06o}")),
            new_mode: file.new_mode.map(|mode| format!("{mode:06o}")),
            status,
            additions: file.additions,
            deletions: file.deletions,
            binary: file.binary,
            patch: file.patch,
            hunks: file.hunks.map(|hunks| hunks.into_iter().map(DiffHunkView::from).collect()),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct DiffView {
    files: Vec<FileDiffView>,
    /// There are more files than are listed.
    truncated: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// Only commits that changed what is at this path.
    path: Option<String>,
    /// With a path: goes on under the old name where the file was renamed.
    #[serde(default)]
    follow: bool,
    /// Only commits that this branch, tag or commit does not have.
    base: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct CommitPath {
    /// The project's slug or id.
    project: String,
    /// 40 hex digits, or a branch or tag.
    commit: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DiffQuery {
    /// A branch, tag or commit; the first parent of `head` when absent.
    base: Option<String>,
    /// A branch, tag or commit.
    head: String,
    /// Tells the changes line by line as well.
    #[serde(default)]
    hunks: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CompareQuery {
    /// A branch, tag or commit.
    base: String,
    /// A branch, tag or commit.
    head: String,
    /// Tells the changes line by line as well.
    #[serde(default)]
    hunks: bool,
}

#[derive(Serialize, ToSchema)]
struct ComparisonView {
    base: String,
    head: String,
    /// Absent when the histories have nothing in common.
    merge_base: Option<String>,
    /// Commits that `head` has and `base` has not.
    ahead: usize,
    /// Commits that `base` has and `head` has not.
    behind: usize,
    /// The newest 250 of those ahead.
    commits: Vec<CommitView>,
    /// What changed from the merge base to `head`.
    files: Vec<FileDiffView>,
    /// There are more files than are listed.
    truncated: bool,
}

/// Commits drafts and changes to a branch.
#[utoipa::path(post, path = "/projects/{project}/commits", operation_id = "create_commit", tag = "repository",
    params(ProjectPath), request_body = CreateCommit, responses((status = 201, body = CommitView), Refusals))]
async fn create_commit(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateCommit>,
) -> Result<Created<CommitView>, Problem> {
    let new = NewCommit {
        branch: body.branch,
        expected_head: body.expected_head,
        message: body.message,
        drafts: body.drafts,
        changes: body.changes.into_iter().map(ChangeBody::read).collect::<Result<_, _>>()?,
        amend: body.amend,
    };
    let commit = app.domain.commits.create(&caller, &at.project, new).await?;
    let location = format!("/projects/{}/commits/{}", at.project, commit.oid);
    Ok(Created { location, etag: None, body: commit.into() })
}

/// Lists commits, newest first.
#[utoipa::path(get, path = "/projects/{project}/commits", operation_id = "list_commits", tag = "repository",
    params(ProjectPath, LogQuery), responses((status = 200, body = PageView<CommitView>), Refusals))]
async fn list_commits(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<LogQuery>,
) -> Result<Json<PageView<CommitView>>, Problem> {
    let page: PageQuery = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let reference = query.reference.unwrap_or_else(|| "HEAD".into());
    let ask = LogFor { reference, path: query.path, follow: query.follow, base: query.base };
    let log = app.domain.repository.log(&caller, &at.project, &ask, &page).await?;
    let page = domain::Page { items: log.commits, next: log.next.map(|oid| oid.to_string()) };
    Ok(Json(PageView::of(page, CommitView::from)))
}

/// Shows a commit.
#[utoipa::path(get, path = "/projects/{project}/commits/{commit}", operation_id = "get_commit", tag = "repository",
    params(CommitPath), responses((status = 200, body = CommitView), Refusals))]
async fn get_commit(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<CommitPath>,
) -> Result<Json<CommitView>, Problem> {
    Ok(Json(app.domain.repository.commit(&caller, &at.project, &at.commit).await?.into()))
}

/// Compares two commits.
#[utoipa::path(get, path = "/projects/{project}/diff", operation_id = "get_diff", tag = "repository",
    params(ProjectPath, DiffQuery), responses((status = 200, body = DiffView), Refusals))]
async fn get_diff(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<DiffView>, Problem> {
    let DiffQuery { base, head, hunks } = query;
    let diff = app.domain.repository.diff(&caller, &at.project, base.as_deref(), &head, hunks).await?;
    let files = diff.files.into_iter().map(FileDiffView::from).collect();
    Ok(Json(DiffView { files, truncated: diff.truncated }))
}

/// Compares two branches, tags or commits from where they parted.
#[utoipa::path(get, path = "/projects/{project}/compare", operation_id = "get_comparison", tag = "repository",
    params(ProjectPath, CompareQuery), responses((status = 200, body = ComparisonView), Refusals))]
async fn get_comparison(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<CompareQuery>,
) -> Result<Json<ComparisonView>, Problem> {
    let CompareQuery { base, head, hunks } = query;
    let compared = app.domain.repository.compare(&caller, &at.project, &base, &head, hunks).await?;
    Ok(Json(ComparisonView {
        base: compared.base.to_string(),
        head: compared.head.to_string(),
        merge_base: compared.merge_base.map(|oid| oid.to_string()),
        ahead: compared.ahead,
        behind: compared.behind,
        commits: compared.commits.into_iter().map(CommitView::from).collect(),
        files: compared.diff.files.into_iter().map(FileDiffView::from).collect(),
        truncated: compared.diff.truncated,
    }))
}
