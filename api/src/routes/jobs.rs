//! Builds, and every job with its log and artifacts.

use std::time::Duration;

use axum::extract::State;
use cloud::Millis;
use domain::{Job, JobState, LineKind, LogLine, LogLines, LogsQuery, RequestFigures};
use function::{Accepted, App, Caller, Json, PageParams, PageView, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{PresignedView, ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_build))
        .routes(routes!(list_jobs))
        .routes(routes!(get_job))
        .routes(routes!(cancel_job))
        .routes(routes!(get_job_log))
        .routes(routes!(get_artifact))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateBuild {
    /// A branch, tag or commit; the default branch when absent.
    #[serde(rename = "ref")]
    #[schema(rename = "ref")]
    reference: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ProgressView {
    phase: String,
    /// Steps done, of `total` when that is known.
    done: u32,
    total: Option<u32>,
    message: String,
}

#[derive(Serialize, ToSchema)]
pub struct JobView {
    id: String,
    /// The project's id.
    project: String,
    /// `build`, `deploy`, `remove` or `purge`.
    kind: String,
    /// `queued`, `running`, then one of `succeeded`, `failed`, `cancelled`, `timed_out` for ever.
    state: &'static str,
    /// Which worker is at it, counted from 1; 0 while queued.
    attempt: u32,
    environment: Option<String>,
    /// The id of the account that asked for it.
    requested_by: String,
    #[serde(rename = "ref")]
    #[schema(rename = "ref")]
    reference: Option<String>,
    commit: Option<String>,
    progress: ProgressView,
    /// What came out; `null` before the end.
    #[schema(value_type = Object)]
    result: Value,
    error: Option<String>,
    cancel_requested: bool,
    created: i64,
    started: Option<i64>,
    finished: Option<i64>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let state = match job.state {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Succeeded => "succeeded",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
            JobState::TimedOut => "timed_out",
        };
        let progress = job.progress;
        Self {
            id: job.id.to_string(),
            project: job.project.to_string(),
            kind: job.kind.as_str().into(),
            state,
            attempt: job.attempt,
            environment: job.kind.environment().map(ToString::to_string),
            requested_by: job.requested_by,
            reference: job.reference,
            commit: job.commit,
            progress: ProgressView {
                phase: progress.phase,
                done: progress.done,
                total: progress.total,
                message: progress.message,
            },
            result: job.result,
            error: job.error,
            cancel_requested: job.cancel_requested,
            created: job.created.0,
            started: job.started.map(|at| at.0),
            finished: job.finished.map(|at| at.0),
        }
    }
}

/// 202 with the job.
pub fn accepted(project: &str, job: Job) -> Accepted<JobView> {
    Accepted { location: format!("/projects/{project}/jobs/{}", job.id), body: job.into() }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct JobPath {
    /// The project's slug or id.
    project: String,
    /// The job's id.
    job: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct ArtifactPath {
    /// The project's slug or id.
    project: String,
    /// The artifact's SHA-256, 64 hex digits.
    digest: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogParams {
    /// The `next` of the read before.
    pub cursor: Option<String>,
    /// Without a cursor: only lines at or after this.
    pub start: Option<i64>,
    /// Lines, 1 to 1,000.
    pub limit: Option<usize>,
    /// Seconds to wait for a line when there is none, at most 20.
    pub wait: Option<u64>,
}

impl LogParams {
    pub fn query(self) -> LogsQuery {
        LogsQuery {
            cursor: self.cursor,
            start: self.start.map(Millis),
            limit: self.limit,
            wait: Duration::from_secs(self.wait.unwrap_or(0)),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct LineView {
    id: String,
    at: i64,
    /// The instance that wrote it, or the job.
    stream: String,
    message: String,
    /// `output`, `init_start`, `start`, `end` or `report`.
    kind: &'static str,
    request_id: Option<String>,
}

/// What one request of a function took. Times in milliseconds.
#[derive(Serialize, ToSchema)]
pub struct RequestView {
    request_id: String,
    duration_ms: f64,
    billed_duration_ms: u64,
    memory_mb: u32,
    max_memory_used_mb: u32,
    /// Only of a cold start.
    init_duration_ms: Option<f64>,
    cold_start: bool,
    /// `timeout`, `error`, … when it did not succeed and the log says so.
    status: Option<String>,
}

impl From<RequestFigures> for RequestView {
    fn from(figures: RequestFigures) -> Self {
        Self {
            request_id: figures.request_id,
            duration_ms: figures.duration_ms,
            billed_duration_ms: figures.billed_duration_ms,
            memory_mb: figures.memory_mb,
            max_memory_used_mb: figures.max_memory_used_mb,
            init_duration_ms: figures.init_duration_ms,
            cold_start: figures.cold_start,
            status: figures.status,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct LogView {
    lines: Vec<LineView>,
    /// Figures of the requests whose REPORT is among the lines.
    requests: Vec<RequestView>,
    /// Pass as `cursor` to read on; a log has no last page.
    next: String,
}

impl From<LogLine> for LineView {
    fn from(line: LogLine) -> Self {
        let kind = match line.kind {
            LineKind::Output => "output",
            LineKind::InitStart => "init_start",
            LineKind::Start => "start",
            LineKind::End => "end",
            LineKind::Report => "report",
        };
        Self {
            id: line.id,
            at: line.at.0,
            stream: line.stream,
            message: line.message,
            kind,
            request_id: line.request_id,
        }
    }
}

impl From<LogLines> for LogView {
    fn from(read: LogLines) -> Self {
        Self {
            lines: read.lines.into_iter().map(LineView::from).collect(),
            requests: read.requests.into_iter().map(RequestView::from).collect(),
            next: read.next,
        }
    }
}

/// Starts a build.
#[utoipa::path(post, path = "/projects/{project}/builds", operation_id = "create_build", tag = "jobs",
    params(ProjectPath), request_body = CreateBuild, responses((status = 202, body = JobView), Refusals))]
async fn create_build(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<CreateBuild>,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.jobs.build(&caller, &at.project, body.reference.as_deref()).await?;
    Ok(accepted(&at.project, job))
}

/// Lists the jobs, newest first.
#[utoipa::path(get, path = "/projects/{project}/jobs", operation_id = "list_jobs", tag = "jobs",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<JobView>), Refusals))]
async fn list_jobs(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<JobView>>, Problem> {
    let page = app.domain.jobs.list(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, JobView::from)))
}

/// Shows a job.
#[utoipa::path(get, path = "/projects/{project}/jobs/{job}", operation_id = "get_job", tag = "jobs",
    params(JobPath), responses((status = 200, body = JobView), Refusals))]
async fn get_job(State(app): State<App>, caller: Caller, Path(at): Path<JobPath>) -> Result<Json<JobView>, Problem> {
    Ok(Json(app.domain.jobs.get(&caller, &at.project, &at.job).await?.into()))
}

/// Asks for the end of a job. One that has ended stays as it is.
#[utoipa::path(post, path = "/projects/{project}/jobs/{job}/cancellation", operation_id = "cancel_job", tag = "jobs",
    params(JobPath), responses((status = 202, body = JobView), Refusals))]
async fn cancel_job(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<JobPath>,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.jobs.cancel(&caller, &at.project, &at.job).await?;
    Ok(accepted(&at.project, job))
}

/// Reads a job's log.
#[utoipa::path(get, path = "/projects/{project}/jobs/{job}/log", operation_id = "get_job_log", tag = "jobs",
    params(JobPath, LogParams), responses((status = 200, body = LogView), Refusals))]
async fn get_job_log(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<JobPath>,
    Query(query): Query<LogParams>,
) -> Result<Json<LogView>, Problem> {
    Ok(Json(app.domain.logs.job(&caller, &at.project, &at.job, &query.query()).await?.into()))
}

/// Gives a URL that downloads an artifact.
#[utoipa::path(get, path = "/projects/{project}/artifacts/{digest}", operation_id = "get_artifact", tag = "jobs",
    params(ArtifactPath), responses((status = 200, body = PresignedView), Refusals))]
async fn get_artifact(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ArtifactPath>,
) -> Result<Json<PresignedView>, Problem> {
    Ok(Json(app.domain.releases.artifact_url(&caller, &at.project, &at.digest).await?.into()))
}
