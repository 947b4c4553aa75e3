//! Members of a project.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::Member;
use function::{App, Caller, Created, IfMatch, Json, NoContent, PageParams, PageView, Path, Problem, Query, Tagged};
use identity::Role;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_members, add_member)).routes(routes!(set_member, delete_member))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct MemberPath {
    /// The project's slug or id.
    project: String,
    /// The account's id or e-mail address.
    account: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetMember {
    /// `owner`, `maintainer`, `developer` or `viewer`.
    role: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddMember {
    /// Of an account that there is.
    email: String,
    /// `owner`, `maintainer`, `developer` or `viewer`.
    role: String,
}

#[derive(Serialize, ToSchema)]
struct MemberView {
    /// The account's id.
    account: String,
    email: String,
    name: String,
    role: String,
    since: i64,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            account: member.account.to_string(),
            email: member.email.to_string(),
            name: member.name.to_string(),
            role: member.role.to_string(),
            since: member.since.0,
        }
    }
}

/// Lists the members.
#[utoipa::path(get, path = "/projects/{project}/members", operation_id = "list_members", tag = "projects",
    params(ProjectPath, PageParams), responses((status = 200, body = PageView<MemberView>), Refusals))]
async fn list_members(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(page): Query<PageParams>,
) -> Result<Json<PageView<MemberView>>, Problem> {
    let page = app.domain.members.list(&caller, &at.project, &page.query()?).await?;
    Ok(Json(PageView::of(page, MemberView::from)))
}

/// Makes the person with an e-mail address a member. 422 on `email` when nobody has it.
#[utoipa::path(post, path = "/projects/{project}/members", operation_id = "add_member", tag = "projects",
    params(ProjectPath), request_body = AddMember, responses((status = 201, body = MemberView), Refusals))]
async fn add_member(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Json(body): Json<AddMember>,
) -> Result<Created<MemberView>, Problem> {
    let role = Role::parse(&body.role)?;
    let member = app.domain.members.add(&caller, &at.project, &body.email, role).await?;
    let location = format!("/projects/{}/members/{}", at.project, member.account);
    Ok(Created { location, etag: Some(member.etag.clone()), body: member.into() })
}

/// Makes an account a member, or changes its role. `If-Match` is honoured when sent.
#[utoipa::path(put, path = "/projects/{project}/members/{account}", operation_id = "set_member", tag = "projects",
    params(MemberPath), request_body = SetMember,
    responses((status = 200, body = MemberView), (status = 201, body = MemberView), Refusals))]
async fn set_member(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<MemberPath>,
    IfMatch(expected): IfMatch,
    Json(body): Json<SetMember>,
) -> Result<Response, Problem> {
    let role = Role::parse(&body.role)?;
    let (member, new) = app.domain.members.set(&caller, &at.project, &at.account, role, &expected).await?;
    let (etag, location) = (member.etag.clone(), format!("/projects/{}/members/{}", at.project, member.account));
    let body = MemberView::from(member);
    Ok(if new {
        Created { location, etag: Some(etag), body }.into_response()
    } else {
        Tagged { etag, body }.into_response()
    })
}

/// Removes a member, at once. Anyone may remove themselves; the last owner stays.
#[utoipa::path(delete, path = "/projects/{project}/members/{account}", operation_id = "delete_member",
    tag = "projects", params(MemberPath), responses((status = 204, description = "Removed."), Refusals))]
async fn delete_member(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<MemberPath>,
) -> Result<NoContent, Problem> {
    app.domain.members.remove(&caller, &at.project, &at.account).await?;
    Ok(NoContent)
}
