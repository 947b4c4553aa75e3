//! Every path of a commit, and what is found in its files.

use axum::extract::State;
use domain::{Found, PATHS_MAX, PathList, SearchFor};
use function::{App, Caller, Json, PageParams, PageView, Path, Problem, Query};
use git_store::{FileMatches, LineMatch, PatternOptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(search_files)).routes(routes!(list_paths))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SearchParams {
    /// What to look for, line by line.
    q: String,
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// `q` is a regular expression (Rust's `regex`: no look-around, no back references).
    #[serde(default)]
    regex: bool,
    /// Upper and lower case are told apart.
    #[serde(default)]
    case: bool,
    /// Whole words only.
    #[serde(default)]
    word: bool,
    /// Globs with commas between them: `*.rs, src/**`. One without `/` fits at any depth.
    include: Option<String>,
    /// As `include`, of what is left out.
    exclude: Option<String>,
    /// Your drafts of the branch stand in for its files.
    #[serde(default)]
    drafts: bool,
    cursor: Option<String>,
    /// Files on the page, 1 to 200.
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PathsParams {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    reference: Option<String>,
    /// What the paths start with.
    path: Option<String>,
    cursor: Option<String>,
    /// Paths on the page, 1 to 10,000.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct FoundView {
    /// The commit that was searched; all pages are of the same.
    commit: String,
    #[serde(flatten)]
    page: PageView<FileMatchesView>,
    /// Not all matches of these files are told, or a file was too large to look into.
    limited: bool,
}

#[derive(Serialize, ToSchema)]
struct FileMatchesView {
    path: String,
    matches: Vec<LineMatchView>,
    limited: bool,
}

#[derive(Serialize, ToSchema)]
struct LineMatchView {
    /// From 1 on.
    line: usize,
    /// The line, at most 500 characters of it.
    text: String,
    /// UTF-16 units of the line before `text`: not 0 only when a long line first fits far behind.
    offset: usize,
    ranges: Vec<RangeView>,
}

/// UTF-16 units of `text`.
#[derive(Serialize, ToSchema)]
struct RangeView {
    start: usize,
    /// Exclusive.
    end: usize,
}

impl From<LineMatch> for LineMatchView {
    fn from(found: LineMatch) -> Self {
        let LineMatch { line, offset, text, ranges } = found;
        let ranges = ranges.into_iter().map(|(start, end)| RangeView { start, end }).collect();
        Self { line, text, offset, ranges }
    }
}

impl From<FileMatches> for FileMatchesView {
    fn from(found: FileMatches) -> Self {
        let matches = found.matches.into_iter().map(LineMatchView::from).collect();
        Self { path: found.path, matches, limited: found.limited }
    }
}

#[derive(Serialize, ToSchema)]
struct PathsView {
    /// The commit that was read; all pages are of the same.
    commit: String,
    #[serde(flatten)]
    page: PageView<String>,
    /// The commit has more files than can be listed.
    limited: bool,
}

/// Searches the files of a branch, tag or commit. A page may be short, or empty, and have a next one.
#[utoipa::path(get, path = "/projects/{project}/search", operation_id = "search_files", tag = "repository",
    params(ProjectPath, SearchParams), responses((status = 200, body = FoundView), Refusals))]
async fn search_files(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<SearchParams>,
) -> Result<Json<FoundView>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let ask = SearchFor {
        reference: query.reference.unwrap_or_else(|| "HEAD".into()),
        pattern: query.q,
        options: PatternOptions { regex: query.regex, case: query.case, word: query.word },
        include: query.include,
        exclude: query.exclude,
        drafts: query.drafts,
    };
    let Found { commit, items, next, limited } = app.domain.repository.search(&caller, &at.project, ask, &page).await?;
    let page = PageView::of(domain::Page { items, next }, FileMatchesView::from);
    Ok(Json(FoundView { commit: commit.to_string(), page, limited }))
}

/// Lists the paths of all files.
#[utoipa::path(get, path = "/projects/{project}/paths", operation_id = "list_paths", tag = "repository",
    params(ProjectPath, PathsParams), responses((status = 200, body = PathsView), Refusals))]
async fn list_paths(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<PathsParams>,
) -> Result<Json<PathsView>, Problem> {
    if query.limit.is_some_and(|limit| limit == 0 || limit > PATHS_MAX) {
        return Err(Problem::malformed(format!("limit is 1 to {PATHS_MAX}.")).at("limit"));
    }
    let mut page = PageParams { cursor: query.cursor, limit: None }.query()?;
    page.limit = query.limit;
    let reference = query.reference.as_deref().unwrap_or("HEAD");
    let prefix = query.path.as_deref().unwrap_or_default();
    let list = app.domain.repository.paths(&caller, &at.project, reference, prefix, &page).await?;
    let PathList { commit, items, next, limited } = list;
    let page = PageView::of(domain::Page { items, next }, |path| path);
    Ok(Json(PathsView { commit: commit.to_string(), page, limited }))
}
