//! Projects, and the starters that they begin from.

use axum::extract::State;
use cloud::Secret;
use domain::{NewImport, NewProject, Project, ProjectUpdate};
use function::{Accepted, App, Caller, Created, IfMatch, Json, PageParams, PageView, Path, Problem, Query, Tagged};
use identity::Role;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::{JobView, accepted};
use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_starters))
        .routes(routes!(create_project, list_projects))
        .routes(routes!(create_import))
        .routes(routes!(get_project, update_project, delete_project))
}

#[derive(Serialize, ToSchema)]
struct StarterView {
    name: String,
    title: String,
}

#[derive(Serialize, ToSchema)]
struct StartersView {
    items: Vec<StarterView>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateProject {
    /// 2 to 40 of a-z, 0-9 and -; part of the addresses of the project's sites, and never changed.
    slug: String,
    name: String,
    description: Option<String>,
    /// A name from `/starters`; the repository is empty when absent.
    starter: Option<String>,
    /// `main` when absent; an import brings its own.
    default_branch: Option<String>,
    /// Fills the repository from elsewhere, by a job.
    import: Option<ImportBody>,
}

/// Where a repository is to come from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ImportBody {
    /// `https://host/path.git`.
    url: String,
    /// `git` when absent.
    username: Option<String>,
    /// A password or token of the source; kept sealed until the job ends, and no longer.
    password: Option<String>,
}

impl From<ImportBody> for NewImport {
    fn from(ImportBody { url, username, password }: ImportBody) -> Self {
        Self { url, username, password: password.map(Secret::new) }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ProjectsQuery {
    /// Only projects with this text in their name or slug.
    q: Option<String>,
    /// Every project, for platform admins; the caller's own when absent.
    #[serde(default)]
    all: bool,
    cursor: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateProject {
    name: Option<String>,
    description: Option<String>,
    /// Branches that only maintainers move.
    protected_branches: Option<Vec<String>>,
    /// Environments that only maintainers deploy to.
    protected_environments: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
struct ProjectView {
    id: String,
    slug: String,
    name: String,
    description: String,
    default_branch: String,
    protected_branches: Vec<String>,
    protected_environments: Vec<String>,
    created: i64,
    /// The id of the account that created it.
    created_by: String,
    /// Clone from here, below the platform's address.
    git_path: String,
    /// Where its repository was to come from, without a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    import_url: Option<String>,
    /// The job that brings it: its state says how far that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    import_job: Option<String>,
    /// In lists: the caller's role.
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

impl ProjectView {
    fn of(project: Project, role: Option<Role>) -> Self {
        Self {
            git_path: format!("/git/{}.git", project.slug),
            id: project.id.to_string(),
            slug: project.slug.to_string(),
            name: project.name,
            description: project.description,
            default_branch: project.default_branch.to_string(),
            protected_branches: project.protected_branches.iter().map(ToString::to_string).collect(),
            protected_environments: project.protected_environments.iter().map(ToString::to_string).collect(),
            created: project.created.0,
            created_by: project.created_by,
            import_job: project.import.as_ref().map(|import| import.job.to_string()),
            import_url: project.import.map(|import| import.url),
            role: role.map(|role| role.to_string()),
        }
    }
}

/// Lists the starters.
#[utoipa::path(get, path = "/starters", operation_id = "list_starters", tag = "projects",
    responses((status = 200, body = StartersView), Refusals))]
async fn list_starters(State(app): State<App>, caller: Caller) -> Result<Json<StartersView>, Problem> {
    let starters = app.domain.starters.list(&caller).await?;
    let items = starters.into_iter().map(|starter| StarterView { name: starter.name, title: starter.title }).collect();
    Ok(Json(StartersView { items }))
}

/// Creates a project. The caller becomes its owner.
#[utoipa::path(post, path = "/projects", operation_id = "create_project", tag = "projects",
    request_body = CreateProject, responses((status = 201, body = ProjectView), Refusals))]
async fn create_project(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateProject>,
) -> Result<Created<ProjectView>, Problem> {
    let new = NewProject {
        name: body.name,
        slug: body.slug,
        description: body.description,
        starter: body.starter,
        default_branch: body.default_branch,
    };
    let project = match body.import {
        Some(import) => app.domain.imports.create_project(&caller, new, import.into()).await?.0,
        None => app.domain.projects.create(&caller, new).await?,
    };
    let (location, etag) = (format!("/projects/{}", project.slug), project.etag.clone());
    Ok(Created { location, etag: Some(etag), body: ProjectView::of(project, Some(Role::Owner)) })
}

/// Fills the empty repository of a project from elsewhere: for the first time, or again after it failed.
#[utoipa::path(post, path = "/projects/{project}/imports", operation_id = "create_import", tag = "projects",
    params(ProjectPath), request_body = ImportBody, responses((status = 202, body = JobView), Refusals))]
async fn create_import(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<ImportBody>,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.imports.start(&caller, &at.project, body.into()).await?;
    Ok(accepted(&at.project, job))
}

/// Lists the projects that the caller is a member of, or all of them. A page of a search may be short and have a next one.
#[utoipa::path(get, path = "/projects", operation_id = "list_projects", tag = "projects", params(ProjectsQuery),
    responses((status = 200, body = PageView<ProjectView>), Refusals))]
async fn list_projects(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ProjectsQuery>,
) -> Result<Json<PageView<ProjectView>>, Problem> {
    let page = PageParams { cursor: query.cursor, limit: query.limit }.query()?;
    if query.q.is_none() && !query.all {
        let page = app.domain.projects.list(&caller, &page).await?;
        return Ok(Json(PageView::of(page, |(project, role)| ProjectView::of(project, Some(role)))));
    }
    let search = query.q.as_deref().unwrap_or_default();
    let page = app.domain.projects.search(&caller, search, query.all, &page).await?;
    Ok(Json(PageView::of(page, |(project, role)| ProjectView::of(project, role))))
}

/// Shows a project.
#[utoipa::path(get, path = "/projects/{project}", operation_id = "get_project", tag = "projects",
    params(ProjectPath), responses((status = 200, body = ProjectView), Refusals))]
async fn get_project(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
) -> Result<Tagged<ProjectView>, Problem> {
    let project = app.domain.projects.get(&caller, &at.project).await?;
    Ok(Tagged { etag: project.etag.clone(), body: ProjectView::of(project, None) })
}

/// Changes a project. Needs `If-Match`.
#[utoipa::path(patch, path = "/projects/{project}", operation_id = "update_project", tag = "projects",
    params(ProjectPath), request_body = UpdateProject, responses((status = 200, body = ProjectView), Refusals))]
async fn update_project(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<UpdateProject>,
) -> Result<Tagged<ProjectView>, Problem> {
    let update = ProjectUpdate {
        name: body.name,
        description: body.description,
        protected_branches: body.protected_branches,
        protected_environments: body.protected_environments,
    };
    let project = app.domain.projects.update(&caller, &at.project, &expected, update).await?;
    Ok(Tagged { etag: project.etag.clone(), body: ProjectView::of(project, None) })
}

/// Deletes a project with everything it holds. Needs `If-Match`. It is gone at once; a job cleans up.
#[utoipa::path(delete, path = "/projects/{project}", operation_id = "delete_project", tag = "projects",
    params(ProjectPath), responses((status = 202, body = JobView), Refusals))]
async fn delete_project(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    IfMatch(expected): IfMatch,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.projects.delete(&caller, &at.project, &expected).await?;
    Ok(accepted(&at.project, job))
}
