//! From a handshake to an open connection.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use cloud::limits::{GATEWAY_TIMEOUT, SOCKET_IDLE_MAX, SOCKET_LIFE_MAX};
use cloud::{Clock, Entropy};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::handshake::accept_key;
use super::hub::Hub;
use crate::events::{SocketApi, SocketEventKind, SocketSession, parse_socket_reply, socket_event};
use crate::functions::{Functions, InvokeError};
use crate::http::{Reply, empty, problem};

#[derive(Clone, Copy, Debug)]
pub struct SocketLimits {
    /// Open connections.
    pub connections: usize,
    /// Without a frame in either direction.
    pub idle: Duration,
    /// In all.
    pub life: Duration,
    /// Messages a second that one connection may send, and as many at once.
    pub rate: u32,
    /// Messages over the rate that a connection may send before it is closed.
    pub throttled: u32,
    /// A client that does not take one message for so long is cut.
    pub write: Duration,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            connections: 2_000,
            idle: SOCKET_IDLE_MAX,
            life: SOCKET_LIFE_MAX,
            rate: 500,
            throttled: 20_000,
            write: Duration::from_secs(20),
        }
    }
}

pub struct SocketSettings {
    pub hub: Hub,
    pub api: SocketApi,
    /// Route key -> the function's logical id.
    pub routes: BTreeMap<String, String>,
    /// `RouteSelectionExpression`.
    pub selection: String,
    pub functions: Arc<dyn Functions>,
    pub limits: SocketLimits,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The WebSocket API; cheap to clone.
#[derive(Clone)]
pub struct SocketServer {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub settings: SocketSettings,
    pub route_keys: Vec<String>,
    open: AtomicUsize,
    tasks: TaskTracker,
}

impl SocketServer {
    pub fn new(settings: SocketSettings) -> Self {
        let route_keys = settings.routes.keys().cloned().collect();
        Self { shared: Arc::new(Shared { settings, route_keys, open: AtomicUsize::new(0), tasks: TaskTracker::new() }) }
    }

    /// Answers a handshake: asks `$connect`, and takes the connection over when that agrees.
    pub async fn accept(&self, mut request: Request<Incoming>, peer: IpAddr, host: &str) -> Reply {
        let shared = &self.shared;
        let request_id = shared.request_id();
        let accept = match accept_key(request.method(), request.headers()) {
            Ok(accept) => accept,
            Err(error) => {
                let mut reply = problem(error.status(), "validation", &error.to_string(), &request_id);
                reply.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                return reply;
            }
        };
        let Some(place) = Place::take(shared) else {
            return problem(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many open connections.", &request_id);
        };
        let session = SocketSession {
            connection_id: connection_id(shared.settings.entropy.as_ref()),
            connected: shared.settings.clock.now(),
            source_ip: peer,
            headers: request.headers().clone(),
            query: request.uri().query().map(str::to_owned),
            host: host.to_owned(),
        };
        if let Err(refusal) = shared.connect(&session, &request_id).await {
            return refusal;
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let server = self.clone();
        shared.tasks.spawn(async move {
            match upgrade.await {
                Ok(upgraded) => Connection::new(&server, session).run(TokioIo::new(upgraded)).await,
                Err(error) => {
                    tracing::debug!(%error, "the client left during the handshake");
                    server.shared.disconnected(&session, 1006, "Abnormal closure").await;
                }
            }
            drop(place);
        });
        let mut reply = empty(StatusCode::SWITCHING_PROTOCOLS);
        let headers = reply.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        reply
    }

    /// Closes every connection and waits until their `$disconnect`s are through, at most `limit`.
    pub async fn shut_down(&self, limit: Duration) {
        self.shared.settings.hub.close_all();
        self.shared.tasks.close();
        let _ = tokio::time::timeout(limit, self.shared.tasks.wait()).await;
    }
}

impl Shared {
    pub fn request_id(&self) -> String {
        crate::gateway::request_id(self.settings.entropy.as_ref())
    }

    /// Runs `$connect`; an API without that route lets everyone in.
    async fn connect(&self, session: &SocketSession, request_id: &str) -> Result<(), Reply> {
        let reply = match self.event("$connect", session, &SocketEventKind::Connect).await {
            None => return Ok(()),
            Some(reply) => reply,
        };
        let status = match &reply {
            Ok(payload) => parse_socket_reply(payload).map(|(status, _)| status),
            Err(InvokeError::Throttled) => Some(StatusCode::TOO_MANY_REQUESTS),
            Err(error) => {
                tracing::error!(%error, request_id, "$connect failed");
                None
            }
        };
        match status {
            Some(status) if status.is_success() => Ok(()),
            Some(StatusCode::UNAUTHORIZED) => Err(problem(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Open the connection with a fresh ticket.",
                request_id,
            )),
            Some(status) if status.is_client_error() => {
                Err(problem(status, "forbidden", "The connection is refused.", request_id))
            }
            _ => Err(problem(StatusCode::BAD_GATEWAY, "internal", "The connection could not be opened.", request_id)),
        }
    }

    /// Tells `$disconnect`, best effort, as API Gateway does.
    pub async fn disconnected(&self, session: &SocketSession, code: u16, reason: &str) {
        let kind = SocketEventKind::Disconnect { code, reason: reason.to_owned() };
        if let Some(Err(error)) = self.event("$disconnect", session, &kind).await {
            tracing::warn!(%error, connection = session.connection_id, "$disconnect failed");
        }
    }

    /// Sends one event to the route's function; `None` when there is no such route.
    pub async fn event(
        &self,
        route: &str,
        session: &SocketSession,
        kind: &SocketEventKind,
    ) -> Option<Result<bytes::Bytes, InvokeError>> {
        let settings = &self.settings;
        let function = settings.routes.get(route)?;
        let event = socket_event(&settings.api, session, &self.request_id(), settings.clock.now(), kind);
        let invoked = tokio::time::timeout(GATEWAY_TIMEOUT, settings.functions.invoke(function, event)).await;
        Some(invoked.unwrap_or(Err(InvokeError::TimedOut)))
    }
}

/// API Gateway's form: bytes in base64, `L0SM9cOFvHcCIhw=`.
fn connection_id(entropy: &dyn Entropy) -> String {
    base64::engine::general_purpose::URL_SAFE.encode(entropy.bytes::<11>())
}

/// One of the connections that may be open; given back when dropped.
struct Place(Arc<Shared>);

impl Place {
    fn take(shared: &Arc<Shared>) -> Option<Self> {
        let open = shared.open.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(shared));
        (open < shared.settings.limits.connections).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
