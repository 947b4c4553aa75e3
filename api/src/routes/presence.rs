//! Who is at a project.

use axum::extract::State;
use domain::Presence;
use function::{App, Caller, Json, Path, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_presence))
}

#[derive(Serialize, ToSchema)]
struct PresenceView {
    /// The account's id.
    account: String,
    /// The person's name.
    name: String,
    /// A person with two pages open is there twice.
    connection: String,
    branch: Option<String>,
    path: Option<String>,
    since: i64,
}

#[derive(Serialize, ToSchema)]
struct PeopleView {
    people: Vec<PresenceView>,
    /// There are more than are listed.
    more: bool,
}

impl From<Presence> for PresenceView {
    fn from(presence: Presence) -> Self {
        Self {
            account: presence.account.to_string(),
            name: presence.name.to_string(),
            connection: presence.connection.0,
            branch: presence.branch.map(|branch| branch.to_string()),
            path: presence.path.map(|path| path.to_string()),
            since: presence.since.0,
        }
    }
}

/// Shows who is at the project and in which file, as the socket tells it.
#[utoipa::path(get, path = "/projects/{project}/presence", operation_id = "list_presence", tag = "projects",
    params(ProjectPath), responses((status = 200, body = PeopleView), Refusals))]
async fn list_presence(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
) -> Result<Json<PeopleView>, Problem> {
    let found = app.domain.connections.people(&caller, &at.project).await?;
    let people = found.people.into_iter().map(PresenceView::from).collect();
    Ok(Json(PeopleView { people, more: found.more }))
}
