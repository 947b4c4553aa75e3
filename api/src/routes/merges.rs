//! Merges, cherry-picks and reverts.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{Merged, NewMerge, NewPick, Resolve, ResolveTake};
use function::{App, Caller, Created, Json, Path, Problem, Query};
use git_store::{Conflict, ConflictHunk, ConflictReason, ConflictSide, MergeKind, MergePreview};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commits::{CommitView, content_of};
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(preview_merge, create_merge))
        .routes(routes!(create_cherry_pick))
        .routes(routes!(create_revert))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// The branch that is to take the changes.
    into: String,
    /// A branch, tag or commit.
    from: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateMerge {
    /// The branch that takes the changes.
    into: String,
    /// A branch, tag or commit.
    from: String,
    /// As git words it when absent.
    message: Option<String>,
    /// Where the branch must point: the `into_commit` of the preview.
    expected_into: Option<String>,
    /// Makes a commit even where the branch only has to move.
    #[serde(default)]
    no_ff: bool,
    #[serde(default)]
    resolutions: Vec<ResolutionBody>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreatePick {
    /// A commit; of a branch or tag, the one that it points at.
    commit: String,
    /// The branch that takes the change.
    onto: String,
    message: Option<String>,
    /// Where the branch must point.
    expected_onto: Option<String>,
    /// Which parent a merge is compared with, from 1 on.
    mainline: Option<usize>,
    #[serde(default)]
    resolutions: Vec<ResolutionBody>,
}

/// What becomes of a path in conflict: exactly one of `content`, `content_base64`, `delete` and `side`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolutionBody {
    path: String,
    content: Option<String>,
    content_base64: Option<String>,
    #[serde(default)]
    delete: bool,
    /// Takes one side's file as it is: `ours` or `theirs`.
    side: Option<Side>,
    /// With content: the mode; that of ours, or else of theirs, when absent.
    executable: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Side {
    Ours,
    Theirs,
}

impl ResolutionBody {
    fn read(self) -> Result<Resolve, Problem> {
        let Self { path, content, content_base64, delete, side, executable } = self;
        let one = || Problem::validation("A resolution has one of content, content_base64, delete and side.");
        let has_content = content.is_some() || content_base64.is_some();
        let take = match (has_content, delete, side) {
            (true, false, None) => ResolveTake::Bytes { bytes: content_of(content, content_base64)?, executable },
            (false, true, None) => ResolveTake::Delete,
            (false, false, Some(Side::Ours)) => ResolveTake::Ours,
            (false, false, Some(Side::Theirs)) => ResolveTake::Theirs,
            _ => return Err(one().at("resolutions")),
        };
        Ok(Resolve { path, take })
    }
}

#[derive(Serialize, ToSchema)]
struct ConflictSideView {
    path: String,
    /// 40 hex digits: `GET …/file?blob=` has the bytes.
    blob: String,
    /// As git stores it, in octal.
    mode: String,
}

impl From<ConflictSide> for ConflictSideView {
    fn from(side: ConflictSide) -> Self {
        Self { path: side.path, blob: side.blob.to_string(), mode: format!("{:06o}", side.mode) }
    }
}

/// Lines that both sides changed, without their ends.
#[derive(Serialize, ToSchema)]
struct ConflictHunkView {
    base: Vec<String>,
    ours: Vec<String>,
    theirs: Vec<String>,
    /// The first line in ours, from 1 on; where it would be when there is none.
    ours_line: usize,
    theirs_line: usize,
}

impl From<ConflictHunk> for ConflictHunkView {
    fn from(hunk: ConflictHunk) -> Self {
        let ConflictHunk { base, ours, theirs, ours_line, theirs_line } = hunk;
        Self { base, ours, theirs, ours_line, theirs_line }
    }
}

#[derive(Serialize, ToSchema)]
struct ConflictView {
    path: String,
    /// `content`, `both-added`, `deleted-by-us`, `deleted-by-them`, `renamed`, `directory-file`, `mode`, `binary` or
    /// `submodule`.
    reason: &'static str,
    base: Option<ConflictSideView>,
    ours: Option<ConflictSideView>,
    theirs: Option<ConflictSideView>,
    /// Empty when there are no lines to compare, or the conflicts together are too long to tell.
    hunks: Vec<ConflictHunkView>,
    /// The text with conflict markers.
    merged: Option<String>,
}

impl From<Conflict> for ConflictView {
    fn from(conflict: Conflict) -> Self {
        let Conflict { path, reason, base, ours, theirs, hunks, merged } = conflict;
        let reason = match reason {
            ConflictReason::Content => "content",
            ConflictReason::BothAdded => "both-added",
            ConflictReason::DeletedByUs => "deleted-by-us",
            ConflictReason::DeletedByThem => "deleted-by-them",
            ConflictReason::Renamed => "renamed",
            ConflictReason::DirectoryFile => "directory-file",
            ConflictReason::Mode => "mode",
            ConflictReason::Binary => "binary",
            ConflictReason::Submodule => "submodule",
        };
        Self {
            path,
            reason,
            base: base.map(Into::into),
            ours: ours.map(Into::into),
            theirs: theirs.map(Into::into),
            hunks: hunks.into_iter().map(Into::into).collect(),
            merged,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct MergePreviewView {
    /// `up-to-date`, `fast-forward`, `merge` or `conflict`.
    kind: &'static str,
    /// Absent when the histories have nothing in common: they cannot be merged.
    merge_base: Option<String>,
    into_commit: String,
    from_commit: String,
    conflicts: Vec<ConflictView>,
}

fn kind(kind: MergeKind) -> &'static str {
    match kind {
        MergeKind::UpToDate => "up-to-date",
        MergeKind::FastForward => "fast-forward",
        MergeKind::Merge => "merge",
        MergeKind::Conflict => "conflict",
    }
}

impl From<MergePreview> for MergePreviewView {
    fn from(preview: MergePreview) -> Self {
        Self {
            kind: kind(preview.kind),
            merge_base: preview.merge_base.map(|oid| oid.to_string()),
            into_commit: preview.into_commit.to_string(),
            from_commit: preview.from_commit.to_string(),
            conflicts: preview.conflicts.into_iter().map(ConflictView::from).collect(),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct MergedView {
    /// `up-to-date`, `fast-forward` or `merge`; of a cherry-pick or revert, always `merge`.
    kind: &'static str,
    /// Where the branch is now.
    commit: CommitView,
}

/// A problem with the conflicts that are left.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "the shape of a problem, for the document")]
struct MergeConflictView {
    #[serde(flatten)]
    problem: function::ProblemView,
    conflicts: Vec<ConflictView>,
}

fn answer(project: &str, merged: Merged) -> Result<Response, Problem> {
    match merged {
        Merged::Done { kind: MergeKind::UpToDate, commit } => {
            Ok(Json(MergedView { kind: kind(MergeKind::UpToDate), commit: commit.into() }).into_response())
        }
        Merged::Done { kind: how, commit } => {
            let location = format!("/projects/{project}/commits/{}", commit.oid);
            let body = MergedView { kind: kind(how), commit: commit.into() };
            Ok(Created { location, etag: None, body }.into_response())
        }
        Merged::Conflicts(conflicts) => {
            let conflicts: Vec<ConflictView> = conflicts.into_iter().map(ConflictView::from).collect();
            let conflicts = serde_json::to_value(conflicts).map_err(|e| Problem::internal().because(&e))?;
            Err(Problem::merge_conflict(conflicts))
        }
    }
}

fn read_all(resolutions: Vec<ResolutionBody>) -> Result<Vec<Resolve>, Problem> {
    resolutions.into_iter().map(ResolutionBody::read).collect()
}

/// Shows what a merge would come to.
#[utoipa::path(get, path = "/projects/{project}/merges", operation_id = "preview_merge", tag = "repository",
    params(ProjectPath, PreviewQuery), responses((status = 200, body = MergePreviewView), Refusals))]
async fn preview_merge(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<MergePreviewView>, Problem> {
    Ok(Json(app.domain.merges.preview(&caller, &at.project, &query.into, &query.from).await?.into()))
}

/// Merges into a branch. Conflicts without a resolution come back as a problem, and nothing is done.
#[utoipa::path(post, path = "/projects/{project}/merges", operation_id = "create_merge", tag = "repository",
    params(ProjectPath), request_body = CreateMerge,
    responses((status = 201, body = MergedView),
        (status = 200, description = "Everything was there already.", body = MergedView), Refusals,
        (status = 409, content_type = "application/problem+json", body = MergeConflictView)))]
async fn create_merge(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateMerge>,
) -> Result<Response, Problem> {
    let CreateMerge { into, from, message, expected_into, no_ff, resolutions } = body;
    let new = NewMerge { into, from, message, expected_into, no_ff, resolutions: read_all(resolutions)? };
    answer(&at.project, app.domain.merges.merge(&caller, &at.project, new).await?)
}

async fn pick(app: App, caller: Caller, project: &str, body: CreatePick, revert: bool) -> Result<Response, Problem> {
    let CreatePick { commit, onto, message, expected_onto, mainline, resolutions } = body;
    let resolutions = read_all(resolutions)?;
    let new = NewPick { commit, onto, message, expected_onto, mainline, revert, resolutions };
    answer(project, app.domain.merges.pick(&caller, project, new).await?)
}

/// Makes a commit's change once more on a branch.
#[utoipa::path(post, path = "/projects/{project}/cherry-picks", operation_id = "create_cherry_pick",
    tag = "repository", params(ProjectPath), request_body = CreatePick,
    responses((status = 201, body = MergedView), Refusals,
        (status = 409, content_type = "application/problem+json", body = MergeConflictView)))]
async fn create_cherry_pick(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreatePick>,
) -> Result<Response, Problem> {
    pick(app, caller, &at.project, body, false).await
}

/// Takes a commit's change back on a branch.
#[utoipa::path(post, path = "/projects/{project}/reverts", operation_id = "create_revert", tag = "repository",
    params(ProjectPath), request_body = CreatePick,
    responses((status = 201, body = MergedView), Refusals,
        (status = 409, content_type = "application/problem+json", body = MergeConflictView)))]
async fn create_revert(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreatePick>,
) -> Result<Response, Problem> {
    pick(app, caller, &at.project, body, true).await
}
