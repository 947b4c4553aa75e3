//! The journal of a project.

use axum::extract::State;
use domain::{EventEnvelope, PageQuery};
use function::{App, Caller, Json, Path, Problem, Query};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::{ProjectPath, Refusals};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_events))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Only events after this sequence: the same number that a socket subscription takes.
    after: Option<u64>,
    /// Items on the page, 1 to 200.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
struct EventView {
    id: String,
    /// `git.pushed`, `job.updated`, …
    #[serde(rename = "type")]
    kind: String,
    source: String,
    time: i64,
    project: String,
    /// The id of the account that set it off.
    actor: String,
    resource: String,
    correlation_id: String,
    idempotency_token: Option<String>,
    /// Counts up by one within the project.
    sequence: u64,
    #[schema(value_type = Object)]
    detail: Value,
}

#[derive(Serialize, ToSchema)]
struct EventsView {
    items: Vec<EventView>,
    /// The last sequence shown, or `after`: read on from here.
    next: u64,
}

impl From<EventEnvelope> for EventView {
    fn from(event: EventEnvelope) -> Self {
        Self {
            id: event.id,
            kind: event.kind,
            source: event.source,
            time: event.time.0,
            project: event.project,
            actor: event.actor,
            resource: event.resource,
            correlation_id: event.correlation_id,
            idempotency_token: event.idempotency_token,
            sequence: event.sequence,
            detail: event.detail,
        }
    }
}

/// Lists events, oldest first.
#[utoipa::path(get, path = "/projects/{project}/events", operation_id = "list_events", tag = "projects",
    params(ProjectPath, EventsQuery), responses((status = 200, body = EventsView), Refusals))]
async fn list_events(
    State(app): State<App>,
    caller: Caller,
    Path(at): Path<ProjectPath>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<EventsView>, Problem> {
    let after = query.after.unwrap_or(0);
    let page = PageQuery { after: Some(after.to_string()), limit: query.limit };
    let events = app.domain.events.list(&caller, &at.project, &page).await?.items;
    let next = events.last().map_or(after, |event| event.sequence);
    Ok(Json(EventsView { items: events.into_iter().map(EventView::from).collect(), next }))
}
