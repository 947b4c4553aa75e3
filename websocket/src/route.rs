//! `$connect`, `$disconnect` and `$default`.

use std::collections::BTreeMap;

use cloud::{ConnectionId, Millis};
use function::{App, Problem};
use identity::{AuthenticationError, Credential, Principal};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::{ClientMessage, target};

/// What is read of the event (API Gateway, "WebSocket API: integration request").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    request_context: Context,
    headers: Option<BTreeMap<String, String>>,
    query_string_parameters: Option<BTreeMap<String, String>>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    event_type: String,
    connection_id: ConnectionId,
}

impl Event {
    fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Answers one event of the WebSocket API. The status of a `$connect` answer becomes that of the handshake.
pub async fn route(app: &App, event: Value) -> Value {
    let event: Event = match serde_json::from_value(event) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(%error, "the event is not a WebSocket API's");
            return status(400);
        }
    };
    match event.request_context.event_type.as_str() {
        "CONNECT" => status(connect(app, &event).await),
        "DISCONNECT" => status(disconnect(app, &event.request_context.connection_id).await),
        _ => status(hear(app, &event).await),
    }
}

fn status(code: u16) -> Value {
    json!({ "statusCode": code })
}

/// The handshake: from our own pages alone, with a ticket that has not been used.
async fn connect(app: &App, event: &Event) -> u16 {
    if event.header("origin").is_some_and(|origin| !is_ours(app, origin)) {
        return 403;
    }
    let principal = match principal(app, event).await {
        Ok(principal) => principal,
        Err(AuthenticationError::Unavailable(error)) => {
            tracing::error!(%error, "a ticket could not be checked");
            return 500;
        }
        Err(_) => return 401,
    };
    match app.domain.connections.open(&event.request_context.connection_id, &principal).await {
        Ok(()) => 200,
        Err(error) => {
            tracing::error!(%error, "a connection could not be noted");
            500
        }
    }
}

/// Whether a page of ours asks. Without a public address the ticket alone must do.
fn is_ours(app: &App, origin: &str) -> bool {
    app.config.public_url.as_ref().is_none_or(|url| url.origin().ascii_serialization() == origin)
}

async fn principal(app: &App, event: &Event) -> Result<Principal, AuthenticationError> {
    let query = event.query_string_parameters.as_ref();
    let ticket = query.and_then(|query| query.get("ticket")).ok_or(AuthenticationError::Missing)?;
    app.identity.authenticate(&Credential::Ticket(cloud::Secret::new(ticket))).await
}

async fn disconnect(app: &App, connection: &ConnectionId) -> u16 {
    match app.domain.connections.close(connection).await {
        Ok(()) => 200,
        Err(error) => {
            tracing::error!(%error, %connection, "a connection could not be forgotten");
            500
        }
    }
}

/// Does what the client asks, or tells it on the connection why not.
async fn hear(app: &App, event: &Event) -> u16 {
    let connection = &event.request_context.connection_id;
    let outcome = match ClientMessage::parse(event.body.as_deref().unwrap_or_default()) {
        Ok(message) => act(app, connection, message).await,
        Err(error) => Err(Problem::malformed(error.to_string())),
    };
    let Err(problem) = outcome else { return 200 };
    if problem.status.is_server_error() {
        tracing::error!(?problem, %connection, "a message could not be answered");
    }
    let told = json!({
        "type": "error",
        "code": problem.code,
        "detail": problem.detail,
        "field": problem.field,
    });
    match app.domain.connections.post(connection, &told).await {
        Ok(_) => 200,
        Err(error) => {
            tracing::warn!(%error, %connection, "an error could not be told");
            500
        }
    }
}

async fn act(app: &App, connection: &ConnectionId, message: ClientMessage) -> Result<(), Problem> {
    let connections = &app.domain.connections;
    match message {
        ClientMessage::Subscribe { project, after } => {
            connections.subscribe(connection, &project, after).await?;
        }
        ClientMessage::Unsubscribe { project } => {
            connections.unsubscribe(connection, &project).await?;
            connections.post(connection, &json!({ "type": "unsubscribed", "project": project })).await?;
        }
        ClientMessage::Tail { project, job, environment, function, cursor, start } => {
            let target = target(project, job, environment, function).map_err(|e| Problem::validation(e.to_string()))?;
            connections.start_tail(connection, target, cursor, start.map(Millis)).await?;
        }
        ClientMessage::Untail { tail } => {
            connections.stop_tail(connection, &tail).await?;
            connections.post(connection, &json!({ "type": "untailed", "tail": tail })).await?;
        }
        ClientMessage::Ping {} => {
            connections.caller(connection).await?;
            connections.post(connection, &json!({ "type": "pong" })).await?;
        }
    }
    Ok(())
}
