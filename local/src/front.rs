//! The one door of the process: which host and path goes to which API, site or stream.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use cloud::{Clock, Entropy};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use tower::ServiceExt;

use crate::events::GatewayRequest;
use crate::gateway::{ApiGateway, Refusal, is_preflight, request_id};
use crate::http::{Door, Reply, Target, check_head, problem, refuse, streamed};
use crate::sites::Sites;
use crate::socket::SocketServer;

/// Where the WebSocket API answers.
pub const SOCKET_PATH: &str = "/socket";
/// Below this, git speaks to the wide door: streamed, without the gateway's limits.
const GIT_PREFIX: &str = "/git/";

pub struct Front {
    pub api: ApiGateway,
    pub sockets: SocketServer,
    /// The git routes.
    pub git: Router,
    pub sites: Sites,
    pub port: u16,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Whom a host belongs to.
#[derive(Debug, PartialEq, Eq)]
enum Owner<'a> {
    Platform,
    /// The first label of `{label}.localhost`.
    Site(&'a str),
    Nobody,
}

fn owner(target: &Target) -> Owner<'_> {
    match target.name() {
        "localhost" | "127.0.0.1" | "[::1]" => Owner::Platform,
        name => match name.strip_suffix(".localhost") {
            Some(label) if !label.is_empty() && !label.contains('.') => Owner::Site(label),
            _ => Owner::Nobody,
        },
    }
}

#[async_trait::async_trait]
impl Door for Front {
    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Reply {
        let (parts, body) = request.into_parts();
        let target = match check_head(&parts) {
            Ok(target) => target,
            Err(error) => return refuse(error, &request_id(self.entropy.as_ref())),
        };
        match owner(&target) {
            Owner::Platform => self.platform(parts, body, &target, peer).await,
            Owner::Site(label) => self.site(label, parts, body, &target, peer).await,
            Owner::Nobody => problem(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "No site answers under this host.",
                &request_id(self.entropy.as_ref()),
            ),
        }
    }
}

impl Front {
    async fn platform(&self, parts: Parts, body: Incoming, target: &Target, peer: SocketAddr) -> Reply {
        let path = parts.uri.path();
        if path == SOCKET_PATH {
            return self.sockets.accept(Request::from_parts(parts, body), peer.ip(), &target.host).await;
        }
        if path.starts_with(GIT_PREFIX) {
            return self.wide_door(parts, body).await;
        }
        let (request, path) = self.request(parts, target, peer);
        match self.api.find(request.method.as_str(), &path) {
            Some(routed) => self.api.answer(routed, request, body).await,
            None if is_preflight(&request.method, &request.headers) => {
                let answer = self.api.preflight(&path, &request.headers);
                answer.unwrap_or_else(|| self.api.refuse(Refusal::MissingRoute, &request))
            }
            None => self.api.refuse(Refusal::MissingRoute, &request),
        }
    }

    async fn site(&self, label: &str, parts: Parts, body: Incoming, target: &Target, peer: SocketAddr) -> Reply {
        let (request, path) = self.request(parts, target, peer);
        match self.sites.find(label).await {
            Some(site) => site.answer(request, &path, body).await,
            None => problem(
                StatusCode::MISDIRECTED_REQUEST,
                "misdirected",
                "No environment is deployed under this host.",
                &request.id,
            ),
        }
    }

    /// The request as events tell it, without its body; and its path.
    fn request(&self, parts: Parts, target: &Target, peer: SocketAddr) -> (GatewayRequest, String) {
        let path = parts.uri.path().to_owned();
        let now = self.clock.now();
        let id = request_id(self.entropy.as_ref());
        let mut headers = parts.headers;
        forwarded(&mut headers, peer, self.port, &id, now.as_secs());
        let request = GatewayRequest {
            id,
            method: parts.method,
            path: path.clone(),
            query: parts.uri.query().map(str::to_owned),
            headers,
            body: bytes::Bytes::new(),
            source_ip: peer.ip(),
            at: now,
            host: target.host.clone(),
        };
        (request, path)
    }

    /// Git, streamed both ways.
    async fn wide_door(&self, parts: Parts, body: Incoming) -> Reply {
        let request = Request::from_parts(parts, axum::body::Body::new(crate::http::patient(body)));
        match self.git.clone().oneshot(request).await {
            Ok(reply) => reply.map(streamed),
            Err(never) => match never {},
        }
    }
}

/// What API Gateway adds; the client's own values do not pass, except the addresses it was forwarded for.
fn forwarded(headers: &mut HeaderMap, peer: SocketAddr, port: u16, id: &str, seconds: i64) {
    let before = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let addresses = before.map_or_else(|| peer.ip().to_string(), |before| format!("{before}, {}", peer.ip()));
    let root: String = id.chars().filter(|c| *c != '-').take(24).collect();
    let values = [
        ("x-forwarded-for", addresses),
        ("x-forwarded-port", port.to_string()),
        ("x-forwarded-proto", "http".to_owned()),
        ("x-amzn-trace-id", format!("Root=1-{seconds:08x}-{root}")),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(host: &str) -> String {
        format!("{:?}", owner(&Target { host: host.into() }))
    }

    #[test]
    fn hosts_belong_to_the_platform_or_a_site() {
        for host in ["localhost", "localhost:80", "127.0.0.1:8080", "[::1]:80"] {
            assert_eq!(owner_of(host), "Platform", "{host}");
        }
        assert_eq!(owner_of("dev--demo.localhost:80"), r#"Site("dev--demo")"#);
        for host in ["evil", "evil.localhost.example", "a.b.localhost", ".localhost", "127.0.0.1.evil", "127.0.0.2"] {
            assert_eq!(owner_of(host), "Nobody", "{host}");
        }
    }

    #[test]
    fn forwarded_headers_are_the_gateways() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", HeaderValue::from_static("javascript"));
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.2.3.4"));
        forwarded(&mut headers, "127.0.0.1:5".parse().unwrap(), 80, "0123-4567", 1);
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4, 127.0.0.1");
        assert_eq!(headers["x-amzn-trace-id"], "Root=1-00000001-01234567");
    }
}
