//! Tickets that open a WebSocket connection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use function::{App, Caller, Json, Problem};
use http::StatusCode;
use identity::TICKET_LIFE;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::wire::Refusals;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_socket_ticket))
}

#[derive(Serialize, ToSchema)]
struct SocketTicketView {
    /// Good for one connection: `{url}?ticket={ticket}`.
    ticket: String,
    url: String,
    expires: i64,
}

/// Gives a ticket for one WebSocket connection, good for a minute.
#[utoipa::path(post, path = "/socket-tickets", operation_id = "create_socket_ticket", tag = "identity",
    responses((status = 201, body = SocketTicketView), Refusals))]
async fn create_socket_ticket(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    let ticket = app.identity.issue_ticket(&caller.principal).await?;
    let view = SocketTicketView {
        ticket: ticket.expose().to_owned(),
        url: app.config.socket_url.to_string(),
        expires: app.clock.now().plus(TICKET_LIFE).0,
    };
    Ok((StatusCode::CREATED, Json(view)).into_response())
}
