//! The gateway's three routes.

use cloud::{ConnectionId, Millis, Posted, Secret};
use domain::Domain;
use function::{App, Problem};
use identity::Credential;
use serde_json::{Value, json};

use crate::message::{Message, target};
use crate::origin;

/// Answers a WebSocket event of API Gateway ("Working with routes for WebSocket APIs").
pub async fn route(app: &App, event: Value) -> Value {
    let context = &event["requestContext"];
    let Some(connection) = context["connectionId"].as_str().map(|id| ConnectionId(id.to_owned())) else {
        return status(400);
    };
    let code = match context["eventType"].as_str() {
        Some("CONNECT") => connect(app, &connection, &event).await,
        Some("DISCONNECT") => disconnect(app, &connection).await,
        Some("MESSAGE") => hear(app, &connection, &event).await,
        _ => 400,
    };
    status(code)
}

fn status(code: u16) -> Value {
    json!({ "statusCode": code })
}

/// A page of another origin is refused before the ticket is looked at, so that it cannot use one up.
async fn connect(app: &App, connection: &ConnectionId, event: &Value) -> u16 {
    if !origin::is_ours(&app.config, header(event, "origin")) {
        return 403;
    }
    let ticket = event["queryStringParameters"]["ticket"].as_str().unwrap_or_default();
    let principal = match app.identity.authenticate(&Credential::Ticket(Secret::new(ticket))).await {
        Ok(principal) => principal,
        Err(error) => {
            let problem = Problem::from(error);
            return problem.status.as_u16();
        }
    };
    match app.domain.connections.open(connection, &principal).await {
        Ok(()) => 200,
        // The session ended between ticket and connection.
        Err(domain::Error::NotFound(_)) => 401,
        Err(error) => failed(&error),
    }
}

async fn disconnect(app: &App, connection: &ConnectionId) -> u16 {
    match app.domain.connections.close(connection).await {
        Ok(()) => 200,
        Err(error) => failed(&error),
    }
}

/// A header of the handshake, whatever its case.
fn header<'a>(event: &'a Value, name: &str) -> Option<&'a str> {
    let headers = event["headers"].as_object()?;
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
}

/// Does what a client says. What it said wrong it is told over the connection.
async fn hear(app: &App, connection: &ConnectionId, event: &Value) -> u16 {
    let text = event["body"].as_str().unwrap_or_default();
    let read = match event["isBase64Encoded"].as_bool() {
        Some(true) => Err(Problem::malformed("Send text messages.")),
        _ => serde_json::from_str::<Message>(text).map_err(|_| {
            Problem::malformed("The message is not one of subscribe, unsubscribe, tail, untail, presence and ping.")
        }),
    };
    let done = match read {
        Ok(message) => obey(&app.domain, connection, message).await,
        Err(problem) => Err(problem),
    };
    let Err(problem) = done else { return 200 };
    let told = json!({ "type": "error", "code": problem.code, "detail": problem.detail, "field": problem.field });
    match app.domain.connections.post(connection, &told).await {
        Ok(_) if problem.status.is_server_error() => {
            tracing::error!(code = problem.code, "a message failed");
            500
        }
        Ok(_) => 200,
        Err(error) => failed(&error),
    }
}

async fn obey(domain: &Domain, connection: &ConnectionId, message: Message) -> Result<(), Problem> {
    let connections = &domain.connections;
    match message {
        Message::Subscribe { project, after } => {
            let subscribed = connections.subscribe(connection, &project, after).await?;
            let live = json!({ "type": "live", "project": subscribed.project, "sequence": subscribed.sequence });
            gone_is_fine(connections.post(connection, &live).await)
        }
        Message::Unsubscribe { project } => {
            connections.unsubscribe(connection, &project).await?;
            gone_is_fine(connections.post(connection, &json!({ "type": "unsubscribed", "project": project })).await)
        }
        Message::Tail { project, job, environment, function, cursor, start } => {
            let named = target(project, job, environment, function);
            let named = named.ok_or_else(|| Problem::validation("Name a job, or an environment and a function."))?;
            connections.start_tail(connection, named, cursor, start.map(Millis)).await?;
            Ok(())
        }
        Message::Untail { tail } => {
            connections.stop_tail(connection, &tail).await?;
            gone_is_fine(connections.post(connection, &json!({ "type": "tail_ended", "tail": tail })).await)
        }
        Message::Presence { project, branch, path } => {
            Ok(connections.set_presence(connection, &project, branch.as_deref(), path.as_deref()).await?)
        }
        Message::Ping {} => gone_is_fine(connections.post(connection, &json!({ "type": "pong" })).await),
    }
}

/// A client that left before its answer misses nothing.
fn gone_is_fine(posted: domain::Result<Posted>) -> Result<(), Problem> {
    posted.map(drop).map_err(Problem::from)
}

fn failed(error: &domain::Error) -> u16 {
    tracing::error!(%error, "a connection's event failed");
    500
}
