//! Environments and releases.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::{Environment, Publish, Release};
use function::{Accepted, App, Caller, IfMatch, Json, PageParams, PageView, Path, Problem, Query, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::jobs::{JobView, accepted};
use crate::wire::{ProjectPath, Refusals, UnsupportedView};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_releases))
        .routes(routes!(list_environments))
        .routes(routes!(get_environment, delete_environment))
        .routes(routes!(publish_release))
        .routes(routes!(create_credentials))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct EnvironmentPath {
    /// The project's slug or id.
    pub project: String,
    /// The environment's name.
    pub environment: String,
}

#[derive(Serialize, ToSchema)]
pub struct EnvironmentView {
    name: String,
    /// The release that serves now.
    release: Option<String>,
    commit: Option<String>,
    /// Where the site answers.
    url: Option<String>,
    outputs: BTreeMap<String, String>,
    unsupported: Vec<UnsupportedView>,
    /// The newest job that deploys or removes it.
    job: Option<String>,
    /// Only maintainers deploy to it.
    protected: bool,
    /// The target that it is deployed to; `default` for the platform's own account.
    target: String,
    updated: i64,
}

impl From<Environment> for EnvironmentView {
    fn from(environment: Environment) -> Self {
        Self {
            name: environment.name.to_string(),
            release: environment.release.map(|id| id.to_string()),
            commit: environment.commit,
            url: environment.url,
            outputs: environment.outputs,
            unsupported: environment.unsupported.into_iter().map(UnsupportedView::from).collect(),
            job: environment.job.map(|id| id.to_string()),
            protected: environment.protected,
            target: environment.target.map_or_else(|| domain::DEFAULT_TARGET.to_owned(), String::from),
            updated: environment.updated.0,
        }
    }
}

#[derive(Serialize, ToSchema)]
struct ArtifactView {
    /// The logical id, or `site`.
    name: String,
    /// `function`, `layer` or `site`.
    kind: &'static str,
    sha256: String,
    length: u64,
}

#[derive(Serialize, ToSchema)]
struct ReleaseView {
    id: String,
    commit: String,
    /// The job that built it.
    build: String,
    artifacts: Vec<ArtifactView>,
    parameters_version: u64,
    created: i64,
    created_by: String,
}

impl From<Release> for ReleaseView {
    fn from(release: Release) -> Self {
        let artifacts = release.artifacts.into_iter().map(|artifact| ArtifactView {
            name: artifact.name,
            kind: match artifact.kind {
                domain::ArtifactKind::Function => "function",
                domain::ArtifactKind::Layer => "layer",
                domain::ArtifactKind::Site => "site",
            },
            sha256: artifact.sha256.to_string(),
            length: artifact.length,
        });
        Self {
            artifacts: artifacts.collect(),
            id: release.id.to_string(),
            commit: release.commit,
            build: release.build.to_string(),
            parameters_version: release.parameters_version,
            created: release.created.0,
            created_by: release.created_by,
        }
    }
}

/// What to publish: exactly one of the three.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PublishRelease {
    /// A branch, tag or commit.
    #[serde(rename = "ref")]
    #[schema(rename = "ref")]
    reference: Option<String>,
    /// The id of a build job that succeeded.
    build: Option<String>,
    /// The id of an earlier release.
    release: Option<String>,
}

impl PublishRelease {
    fn read(self) -> Result<Publish, Problem> {
        match (self.reference, self.build, self.release) {
            (Some(reference), None, None) => Ok(Publish::Reference(reference)),
            (None, Some(build), None) => Ok(Publish::Build(build)),
            (None, None, Some(release)) => Ok(Publish::Release(release)),
            _ => Err(Problem::validation("Name exactly one of ref, build and release.")),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct CredentialsView {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expires: i64,
    region: String,
    /// Where the keys are good; AWS's own endpoints when absent.
    endpoint: Option<String>,
}

impl From<cloud::Credentials> for CredentialsView {
    fn from(keys: cloud::Credentials) -> Self {
        Self {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key.expose().to_owned(),
            session_token: keys.session_token.map(|token| token.expose().to_owned()),
            expires: keys.expires.0,
            region: keys.region,
            endpoint: keys.endpoint,
        }
    }
}

/// Lists the releases, newest first.
#[utoipa::path(get, path = "/projects/{project}/releases", operation_id = "list_releases", tag = "environments",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<ReleaseView>), Refusals))]
async fn list_releases(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<ReleaseView>>, Problem> {
    let page = app.domain.releases.list(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, ReleaseView::from)))
}

/// Lists the environments.
#[utoipa::path(get, path = "/projects/{project}/environments", operation_id = "list_environments",
    tag = "environments", params(ProjectPath, PageParams),
    responses((status = 200, body = PageView<EnvironmentView>), Refusals))]
async fn list_environments(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<EnvironmentView>>, Problem> {
    let page = app.domain.environments.list(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, EnvironmentView::from)))
}

/// Shows an environment.
#[utoipa::path(get, path = "/projects/{project}/environments/{environment}", operation_id = "get_environment",
    tag = "environments", params(EnvironmentPath), responses((status = 200, body = EnvironmentView), Refusals))]
async fn get_environment(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
) -> Result<Tagged<EnvironmentView>, Problem> {
    let environment = app.domain.environments.get(&caller, &at.project, &at.environment).await?;
    Ok(Tagged { etag: environment.etag.clone(), body: environment.into() })
}

/// Removes an environment with everything it holds. Needs `If-Match`.
#[utoipa::path(delete, path = "/projects/{project}/environments/{environment}", operation_id = "delete_environment",
    tag = "environments", params(EnvironmentPath), responses((status = 202, body = JobView), Refusals))]
async fn delete_environment(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
    IfMatch(expected): IfMatch,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.environments.remove(&caller, &at.project, &at.environment, &expected).await?;
    Ok(accepted(&at.project, job))
}

/// Publishes to an environment. The first publication creates it.
#[utoipa::path(put, path = "/projects/{project}/environments/{environment}/release",
    operation_id = "publish_release", tag = "environments", params(EnvironmentPath), request_body = PublishRelease,
    responses((status = 202, body = JobView), Refusals))]
async fn publish_release(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
    Json(body): Json<PublishRelease>,
) -> Result<Accepted<JobView>, Problem> {
    let job = app.domain.environments.publish(&caller, &at.project, &at.environment, body.read()?).await?;
    Ok(accepted(&at.project, job))
}

/// Gives keys for the services of an environment, good for an hour.
#[utoipa::path(post, path = "/projects/{project}/environments/{environment}/credentials",
    operation_id = "create_credentials", tag = "environments", params(EnvironmentPath),
    responses((status = 200, body = CredentialsView), Refusals))]
async fn create_credentials(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
) -> Result<Json<CredentialsView>, Problem> {
    Ok(Json(app.domain.environments.credentials(&caller, &at.project, &at.environment).await?.into()))
}
