//! WebSocket API events: `$connect`, `$disconnect` and messages.

use std::net::IpAddr;

use bytes::Bytes;
use cloud::Millis;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::date;
use super::request::{AllValues, LastValues, Query, domain_name};

/// The WebSocket API and stage.
#[derive(Clone, Debug)]
pub struct SocketApi {
    pub api_id: String,
    pub stage: String,
}

/// One connection, as every event of it tells it.
#[derive(Clone, Debug)]
pub struct SocketSession {
    pub connection_id: String,
    pub connected: Millis,
    pub source_ip: IpAddr,
    /// Of the handshake.
    pub headers: HeaderMap,
    /// Of the handshake, without the question mark.
    pub query: Option<String>,
    pub host: String,
}

#[derive(Clone, Debug)]
pub enum SocketEventKind {
    Connect,
    Disconnect { code: u16, reason: String },
    Message { route_key: String, message_id: String, body: String },
}

/// Builds the event.
pub fn socket_event(
    api: &SocketApi,
    session: &SocketSession,
    request_id: &str,
    at: Millis,
    kind: &SocketEventKind,
) -> Bytes {
    let (route_key, event_type) = match kind {
        SocketEventKind::Connect => ("$connect", "CONNECT"),
        SocketEventKind::Disconnect { .. } => ("$disconnect", "DISCONNECT"),
        SocketEventKind::Message { route_key, .. } => (route_key.as_str(), "MESSAGE"),
    };
    let mut context = json!({
        "routeKey": route_key,
        "eventType": event_type,
        "extendedRequestId": request_id,
        "requestTime": date::common_log(at),
        "messageDirection": "IN",
        "stage": api.stage,
        "connectedAt": session.connected.0,
        "requestTimeEpoch": at.0,
        "identity": {
            "sourceIp": session.source_ip.to_string(),
            "userAgent": super::request::header(&session.headers, "user-agent"),
        },
        "requestId": request_id,
        "domainName": domain_name(&session.host),
        "connectionId": session.connection_id,
        "apiId": api.api_id,
    });
    let mut event = json!({ "isBase64Encoded": false });
    match kind {
        SocketEventKind::Connect => {
            event["headers"] = json!(LastValues(&session.headers));
            event["multiValueHeaders"] = json!(AllValues(&session.headers));
            let query = Query::parse(session.query.as_deref());
            if let (Some(last), Some(all)) = (query.last(), query.all()) {
                event["queryStringParameters"] = json!(last);
                event["multiValueQueryStringParameters"] = json!(all);
            }
        }
        SocketEventKind::Disconnect { code, reason } => {
            context["disconnectStatusCode"] = json!(code);
            context["disconnectReason"] = json!(reason);
            event["headers"] = json!({ "Host": session.host });
            event["multiValueHeaders"] = json!({ "Host": [session.host] });
        }
        SocketEventKind::Message { message_id, body, .. } => {
            context["messageId"] = json!(message_id);
            event["body"] = json!(body);
        }
    }
    event["requestContext"] = context;
    super::to_json(&event)
}

/// The status and body of a WebSocket function's answer; an answer without a status is a 200
/// (API Gateway developer guide, "Set up a proxy integration for a WebSocket API").
pub fn parse_socket_reply(payload: &[u8]) -> Option<(StatusCode, Option<String>)> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let body = value.get("body").and_then(Value::as_str).map(str::to_owned);
    let status = match value.get("statusCode") {
        None | Some(Value::Null) => 200,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(other) => u16::try_from(other.as_u64()?).ok()?,
    };
    Some((StatusCode::from_u16(status).ok()?, body))
}
