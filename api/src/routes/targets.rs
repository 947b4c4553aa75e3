//! Deploy targets, for admins.

use axum::extract::State;
use domain::{Target, TargetSettings, TargetUpdate};
use function::{App, Caller, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, Tagged};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::environments::{EnvironmentPath, EnvironmentView};
use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create_target, list_targets))
        .routes(routes!(get_target, update_target, delete_target))
        .routes(routes!(bind_target))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct TargetPath {
    /// The target's name.
    target: String,
}

#[derive(Serialize, ToSchema)]
struct TargetView {
    name: String,
    /// The role that is assumed for a deploy.
    role_arn: String,
    /// The trust policy of the role must ask for this (`sts:ExternalId`).
    external_id: String,
    region: String,
    /// The managed policy that bounds every role of a deployed app.
    permissions_boundary: String,
    /// The bucket in that region where packages are put.
    bucket: String,
    /// Ids of the projects that may use it; empty for all.
    projects: Vec<String>,
    /// Names of the environments that may use it; empty for all.
    environments: Vec<String>,
    /// Resource types beyond the usual ones.
    resource_types: Vec<String>,
    /// Managed policies beyond the usual ones.
    managed_policies: Vec<String>,
    /// Published layers beyond AWS's own.
    layers: Vec<String>,
    created: i64,
    created_by: String,
    updated: i64,
}

impl From<Target> for TargetView {
    fn from(target: Target) -> Self {
        let settings = target.settings;
        Self {
            name: target.name.to_string(),
            role_arn: settings.role_arn,
            external_id: target.external_id,
            region: settings.region,
            permissions_boundary: settings.permissions_boundary,
            bucket: settings.bucket,
            projects: settings.projects,
            environments: settings.environments,
            resource_types: settings.resource_types,
            managed_policies: settings.managed_policies,
            layers: settings.layers,
            created: target.created.0,
            created_by: target.created_by,
            updated: target.updated.0,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateTarget {
    name: String,
    role_arn: String,
    region: String,
    permissions_boundary: String,
    bucket: String,
    /// Slugs or ids; all projects when empty.
    #[serde(default)]
    projects: Vec<String>,
    #[serde(default)]
    environments: Vec<String>,
    #[serde(default)]
    resource_types: Vec<String>,
    #[serde(default)]
    managed_policies: Vec<String>,
    #[serde(default)]
    layers: Vec<String>,
}

/// What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UpdateTarget {
    role_arn: Option<String>,
    region: Option<String>,
    permissions_boundary: Option<String>,
    bucket: Option<String>,
    projects: Option<Vec<String>>,
    environments: Option<Vec<String>>,
    resource_types: Option<Vec<String>>,
    managed_policies: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BindTarget {
    /// The target's name; `default` for the platform's own account.
    target: String,
}

fn tagged(target: Target) -> Tagged<TargetView> {
    Tagged { etag: target.etag.clone(), body: target.into() }
}

/// Defines a target. The answer has the external id that the role's trust policy must ask for.
#[utoipa::path(post, path = "/targets", operation_id = "create_target", tag = "environments",
    request_body = CreateTarget, responses((status = 201, body = TargetView), Refusals))]
async fn create_target(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateTarget>,
) -> Result<Created<TargetView>, Problem> {
    let settings = TargetSettings {
        role_arn: body.role_arn,
        region: body.region,
        permissions_boundary: body.permissions_boundary,
        bucket: body.bucket,
        projects: body.projects,
        environments: body.environments,
        resource_types: body.resource_types,
        managed_policies: body.managed_policies,
        layers: body.layers,
    };
    let target = app.domain.targets.create(&caller, &body.name, settings).await?;
    let location = format!("/targets/{}", target.name);
    Ok(Created { location, etag: Some(target.etag.clone()), body: target.into() })
}

/// Lists the targets by name. The platform's own account, `default`, is not among them.
#[utoipa::path(get, path = "/targets", operation_id = "list_targets", tag = "environments", params(PageParams),
    responses((status = 200, body = PageView<TargetView>), Refusals))]
async fn list_targets(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<TargetView>>, Problem> {
    let page = app.domain.targets.list(&caller, &page.query()?).await?;
    Ok(Json(PageView::of(page, TargetView::from)))
}

/// Shows a target.
#[utoipa::path(get, path = "/targets/{target}", operation_id = "get_target", tag = "environments",
    params(TargetPath), responses((status = 200, body = TargetView), Refusals))]
async fn get_target(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<TargetPath>,
) -> Result<Tagged<TargetView>, Problem> {
    Ok(tagged(app.domain.targets.get(&caller, &at.target).await?))
}

/// Changes a target. Needs `If-Match`. Account and region stay while an environment is bound to it.
#[utoipa::path(patch, path = "/targets/{target}", operation_id = "update_target", tag = "environments",
    params(TargetPath), request_body = UpdateTarget, responses((status = 200, body = TargetView), Refusals))]
async fn update_target(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<TargetPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<UpdateTarget>,
) -> Result<Tagged<TargetView>, Problem> {
    let change = TargetUpdate {
        role_arn: body.role_arn,
        region: body.region,
        permissions_boundary: body.permissions_boundary,
        bucket: body.bucket,
        projects: body.projects,
        environments: body.environments,
        resource_types: body.resource_types,
        managed_policies: body.managed_policies,
        layers: body.layers,
    };
    Ok(tagged(app.domain.targets.update(&caller, &at.target, change, &expected).await?))
}

/// Removes a target that no environment is bound to. Needs `If-Match`.
#[utoipa::path(delete, path = "/targets/{target}", operation_id = "delete_target", tag = "environments",
    params(TargetPath), responses((status = 204), Refusals))]
async fn delete_target(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<TargetPath>,
    IfMatch(expected): IfMatch,
) -> Result<NoContent, Problem> {
    app.domain.targets.delete(&caller, &at.target, &expected).await?;
    Ok(NoContent)
}

/// Says where an environment is deployed to. Needs `If-Match`, or `If-None-Match: *` for one that is not there yet.
#[utoipa::path(put, path = "/projects/{project}/environments/{environment}/target", operation_id = "bind_target",
    tag = "environments", params(EnvironmentPath), request_body = BindTarget,
    responses((status = 200, body = EnvironmentView), Refusals))]
async fn bind_target(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<EnvironmentPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<BindTarget>,
) -> Result<Tagged<EnvironmentView>, Problem> {
    let target = Some(body.target.as_str());
    let bound = app.domain.targets.bind(&caller, &at.project, &at.environment, target, &expected).await?;
    Ok(Tagged { etag: bound.etag.clone(), body: bound.into() })
}
