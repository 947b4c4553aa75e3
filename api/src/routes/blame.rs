//! Where the lines of a file come from.

use axum::extract::State;
use function::{App, Caller, Json, Path, Problem, Query};
use git_store::BlameRange;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commits::CommitView;
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_blame))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BlameQuery {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    path: String,
}

#[derive(Serialize, ToSchema)]
struct BlameRangeView {
    /// From 1 on.
    line: usize,
    count: usize,
    commit: String,
    /// The path of the file in that commit, and the line there.
    source_path: String,
    source_line: usize,
}

impl From<&BlameRange> for BlameRangeView {
    fn from(range: &BlameRange) -> Self {
        Self {
            line: range.line,
            count: range.count,
            commit: range.commit.to_string(),
            source_path: range.source_path.clone(),
            source_line: range.source_line,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BlameView {
    /// The commit that was read.
    commit: String,
    path: String,
    /// In order, without a gap.
    ranges: Vec<BlameRangeView>,
    /// Those that the ranges name, once each.
    commits: Vec<CommitView>,
    /// The history was too long: some lines are from before the commit that is told.
    partial: bool,
}

/// Tells which commit each line of a file comes from.
#[utoipa::path(get, path = "/projects/{project}/blame", operation_id = "get_blame", tag = "repository",
    params(ProjectPath, BlameQuery), responses((status = 200, body = BlameView), Refusals))]
async fn get_blame(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<BlameQuery>,
) -> Result<Json<BlameView>, Problem> {
    let reference = query.reference.as_deref().unwrap_or("HEAD");
    let blame = app.domain.repository.blame(&caller, &at.project, reference, &query.path).await?;
    Ok(Json(BlameView {
        commit: blame.commit.to_string(),
        path: blame.path.clone(),
        ranges: blame.ranges.iter().map(BlameRangeView::from).collect(),
        commits: blame.commits.iter().cloned().map(CommitView::from).collect(),
        partial: blame.partial,
    }))
}
