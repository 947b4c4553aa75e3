//! What admins look at: use and quotas, the audit trail, jobs of all projects.

use axum::extract::State;
use domain::{AuditEntry, AuditQuery, JobState, ProjectUsage, Quota, QuotaUpdate};
use function::{App, Caller, IfMatch, Json, PageParams, PageView, Path, Problem, Query, Tagged};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::JobView;
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_usage))
        .routes(routes!(get_usage))
        .routes(routes!(get_quota, set_quota))
        .routes(routes!(list_audit))
        .routes(routes!(list_project_audit))
}

/// The jobs of all projects are served where jobs are.
pub fn job_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_all_jobs))
}

#[derive(Serialize, ToSchema)]
struct QuotaView {
    /// Bytes of the repository, files and artifacts together.
    storage_bytes: u64,
    /// Minutes of jobs in a month.
    job_minutes: u64,
    /// Jobs without a final state.
    open_jobs: u64,
    /// What an admin has set; `null` where the platform's own number holds.
    set: QuotaBody,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct QuotaBody {
    storage_bytes: Option<u64>,
    job_minutes: Option<u64>,
    open_jobs: Option<u64>,
}

impl From<QuotaBody> for QuotaUpdate {
    fn from(body: QuotaBody) -> Self {
        Self { storage_bytes: body.storage_bytes, job_minutes: body.job_minutes, open_jobs: body.open_jobs }
    }
}

impl From<Quota> for QuotaView {
    fn from(quota: Quota) -> Self {
        let QuotaUpdate { storage_bytes, job_minutes, open_jobs } = quota.set;
        Self {
            storage_bytes: quota.storage_bytes,
            job_minutes: quota.job_minutes,
            open_jobs: quota.open_jobs,
            set: QuotaBody { storage_bytes, job_minutes, open_jobs },
        }
    }
}

#[derive(Serialize, ToSchema)]
struct UsageView {
    /// The project's id.
    project: String,
    slug: String,
    name: String,
    /// Packs of the repository.
    repository_bytes: u64,
    /// The files area and Git LFS, with what waiting uploads reserve.
    files_bytes: u64,
    artifacts_bytes: u64,
    /// Of jobs that ended in the month, from their start to their end.
    job_ms: u64,
    jobs: u64,
    members: usize,
    quota: QuotaView,
}

impl From<ProjectUsage> for UsageView {
    fn from(usage: ProjectUsage) -> Self {
        Self {
            project: usage.project.id.to_string(),
            slug: usage.project.slug.to_string(),
            name: usage.project.name,
            repository_bytes: usage.repository_bytes,
            files_bytes: usage.files_bytes,
            artifacts_bytes: usage.artifacts_bytes,
            job_ms: usage.job_ms,
            jobs: usage.jobs,
            members: usage.members,
            quota: usage.quota.into(),
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsagesQuery {
    /// `2026-11`; the current month (UTC) when absent.
    month: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MonthQuery {
    /// `2026-11`; the current month (UTC) when absent.
    month: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditsQuery {
    /// A project's slug or id.
    project: Option<String>,
    /// An account's id.
    actor: Option<String>,
    /// `member.set`, `quota.set`, `token.created`, …
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProjectAuditQuery {
    /// An account's id.
    actor: Option<String>,
    /// `member.set`, `quota.set`, …
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct JobsQuery {
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled` or `timed_out`.
    state: Option<String>,
    /// A project's slug or id.
    project: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct AuditView {
    id: String,
    time: i64,
    /// The account's id.
    actor: String,
    /// `null` when there is no such account any more.
    actor_name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    /// The project's id; absent for what belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    resource: String,
    #[schema(value_type = Object)]
    detail: Value,
    /// The correlation id of the request that asked for it.
    request_id: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            time: entry.time.0,
            actor: entry.actor,
            actor_name: entry.actor_name,
            kind: entry.kind,
            project: entry.project.map(|project| project.to_string()),
            resource: entry.resource,
            detail: entry.detail,
            request_id: entry.correlation_id,
        }
    }
}

/// Shows what all projects use, for platform admins.
#[utoipa::path(get, path = "/usage", operation_id = "list_usage", tag = "projects", params(UsagesQuery),
    responses((status = 200, body = PageView<UsageView>), Refusals))]
async fn list_usage(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<UsagesQuery>,
) -> Result<Json<PageView<UsageView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let page = app.domain.usage.list(&caller, query.month.as_deref(), &page).await?;
    Ok(Json(PageView::of(page, UsageView::from)))
}

/// Shows what a project uses and may use.
#[utoipa::path(get, path = "/projects/{project}/usage", operation_id = "get_usage", tag = "projects",
    params(ProjectPath, MonthQuery), responses((status = 200, body = UsageView), Refusals))]
async fn get_usage(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<MonthQuery>,
) -> Result<Json<UsageView>, Problem> {
    Ok(Json(app.domain.usage.get(&caller, &at.project, query.month.as_deref()).await?.into()))
}

/// Shows what a project may use.
#[utoipa::path(get, path = "/projects/{project}/quota", operation_id = "get_quota", tag = "projects",
    params(ProjectPath), responses((status = 200, body = QuotaView), Refusals))]
async fn get_quota(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
) -> Result<Tagged<QuotaView>, Problem> {
    let quota = app.domain.usage.quota(&caller, &at.project).await?;
    Ok(Tagged { etag: quota.etag.clone(), body: quota.into() })
}

/// Sets what a project may use, for platform admins; `null` is the platform's own number. `If-Match` is honoured when sent.
#[utoipa::path(put, path = "/projects/{project}/quota", operation_id = "set_quota", tag = "projects",
    params(ProjectPath), request_body = QuotaBody, responses((status = 200, body = QuotaView), Refusals))]
async fn set_quota(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<QuotaBody>,
) -> Result<Tagged<QuotaView>, Problem> {
    let quota = app.domain.usage.set_quota(&caller, &at.project, &expected, body.into()).await?;
    Ok(Tagged { etag: quota.etag.clone(), body: quota.into() })
}

/// Shows who did what anywhere, newest first, for platform admins. A filtered page may be short and have a next one.
#[utoipa::path(get, path = "/audit", operation_id = "list_audit", tag = "projects", params(AuditsQuery),
    responses((status = 200, body = PageView<AuditView>), Refusals))]
async fn list_audit(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AuditsQuery>,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let asked = AuditQuery { project: query.project, actor: query.actor, kind: query.kind, page };
    Ok(Json(PageView::of(app.domain.audit.list(&caller, &asked).await?, AuditView::from)))
}

/// Shows who did what in a project, newest first, for who manages it.
#[utoipa::path(get, path = "/projects/{project}/audit", operation_id = "list_project_audit", tag = "projects",
    params(ProjectPath, ProjectAuditQuery), responses((status = 200, body = PageView<AuditView>), Refusals))]
async fn list_project_audit(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<ProjectAuditQuery>,
) -> Result<Json<PageView<AuditView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let asked = AuditQuery { project: None, actor: query.actor, kind: query.kind, page };
    let page = app.domain.audit.of_project(&caller, &at.project, &asked).await?;
    Ok(Json(PageView::of(page, AuditView::from)))
}

/// Lists the jobs of all projects of the last 90 days, newest first, for platform admins.
#[utoipa::path(get, path = "/jobs", operation_id = "list_all_jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, body = PageView<JobView>), Refusals))]
async fn list_all_jobs(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<JobsQuery>,
) -> Result<Json<PageView<JobView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    let state = query.state.as_deref().map(JobState::parse).transpose()?;
    let page = app.domain.jobs.list_all(&caller, state, query.project.as_deref(), &page).await?;
    Ok(Json(PageView::of(page, JobView::from)))
}
