//! One API at one stage: a request in, a response out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::Clock;
use cloud::limits::{GATEWAY_PAYLOAD_MAX, GATEWAY_STREAM_TIMEOUT_MAX, GATEWAY_TIMEOUT};
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use hyper::body::Incoming;
use sam::{ApiKind, Match, PayloadVersion, Route, RouteTable, Target};
use tokio::time::{Instant, timeout_at};

use super::authorize::Authorizers;
use super::media::BinaryTypes;
use super::object::{self, Buckets};
use super::refusal::{About, Refusal, Refusals};
use super::stream::stream_until;
use super::{cors, mapping};
use crate::events::{
    ApiIdentity, AuthorizerContext, FunctionReply, GatewayRequest, PathParameters, RouteRef, http_event,
    parse_http_reply, parse_rest_reply, rest_event,
};
use crate::functions::{Functions, InvokeError, StreamedReply};
use crate::http::{BodyError, BodyLimits, Reply, full, read_body};

/// How long a body may take.
const BODY_IDLE: Duration = Duration::from_secs(15);
const BODY_TOTAL: Duration = Duration::from_secs(120);

pub struct ApiSettings {
    pub api: sam::Api,
    pub identity: ApiIdentity,
    pub functions: Arc<dyn Functions>,
    pub buckets: Arc<dyn Buckets>,
    pub clock: Arc<dyn Clock>,
    pub body: BodyLimits,
}

impl ApiSettings {
    /// The gateway's limits for request bodies.
    pub fn body_limits() -> BodyLimits {
        BodyLimits { size: GATEWAY_PAYLOAD_MAX, idle: BODY_IDLE, total: BODY_TOTAL }
    }
}

/// An API that answers requests.
pub struct ApiGateway {
    settings: ApiSettings,
    routes: RouteTable,
    authorizers: Authorizers,
    refusals: Refusals,
    binary: BinaryTypes,
}

/// What an API has for a method and path.
#[derive(Clone, Debug)]
pub struct Routed<'a> {
    pub route: &'a Route,
    pub parameters: PathParameters,
    /// Without the stage.
    pub path: &'a str,
}

impl Routed<'_> {
    /// The route takes what no other does: `{proxy+}`, `$default`.
    pub fn is_greedy(&self) -> bool {
        self.route.path == "$default" || self.route.path.ends_with("+}")
    }
}

impl ApiGateway {
    pub fn new(settings: ApiSettings) -> Self {
        Self {
            routes: RouteTable::new(&settings.api.routes),
            authorizers: Authorizers::new(&settings.api),
            refusals: Refusals::new(&settings.api),
            binary: BinaryTypes::new(&settings.api.binary_media_types),
            settings,
        }
    }

    /// The route for a path without the stage, or with it (`/{stage}/…`). A path that begins with the stage is not a
    /// greedy route's, unless nothing else takes it.
    pub fn find<'a>(&'a self, method: &str, path: &'a str) -> Option<Routed<'a>> {
        let plain = self.find_at(method, path);
        if plain.as_ref().is_some_and(|routed| !routed.is_greedy()) {
            return plain;
        }
        self.without_stage(path).and_then(|path| self.find_at(method, path)).or(plain)
    }

    fn find_at<'a>(&'a self, method: &str, path: &'a str) -> Option<Routed<'a>> {
        match self.routes.find(method, path) {
            Match::Found { route, .. } if self.has_own_preflight(method, route) => None,
            Match::Found { route, path_parameters } => Some(Routed { route, parameters: path_parameters, path }),
            Match::MethodNotAllowed { .. } | Match::NotFound => None,
        }
    }

    /// With `Cors`, SAM gives every path of a REST API an OPTIONS method that needs no caller, beside one for ANY too.
    fn has_own_preflight(&self, method: &str, route: &Route) -> bool {
        let api = &self.settings.api;
        method == "OPTIONS" && route.method == "ANY" && api.kind == ApiKind::Rest && api.cors.is_some()
    }

    /// The path after `/{stage}`, when it starts with that.
    pub fn without_stage<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix('/')?.strip_prefix(self.settings.identity.stage.as_str())?;
        if rest.is_empty() { Some("/") } else { rest.starts_with('/').then_some(rest) }
    }

    /// Answers a preflight for a path that has routes; `None` when the API has no rules or routes for it.
    pub fn preflight(&self, path: &str, headers: &HeaderMap) -> Option<Reply> {
        let rules = self.settings.api.cors.as_ref()?;
        let at = |path: &str| match self.routes.find(http::Method::OPTIONS.as_str(), path) {
            Match::MethodNotAllowed { allowed } => Some(allowed.into_iter().map(str::to_owned).collect::<Vec<_>>()),
            Match::Found { route, .. } if self.has_own_preflight("OPTIONS", route) => Some(methods_of_any()),
            Match::Found { .. } | Match::NotFound => None,
        };
        let mut methods = at(path).or_else(|| at(self.without_stage(path)?))?;
        methods.push("OPTIONS".into());
        Some(cors::preflight(rules, self.settings.api.kind, headers, &methods))
    }

    /// Refuses a request that is not passed on.
    pub fn refuse(&self, refusal: Refusal, request: &GatewayRequest) -> Reply {
        let stage = &self.settings.identity.stage;
        self.refusals.answer(refusal, About { request_id: &request.id, stage, path: &request.path })
    }

    /// Answers a request whose body is still to come: the authorizer is asked before it is read.
    pub async fn answer(&self, routed: Routed<'_>, mut request: GatewayRequest, body: Incoming) -> Reply {
        request.path = routed.path.to_owned();
        let declared = request.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: u64| length > self.settings.body.size as u64) {
            return self.refuse(Refusal::TooLarge, &request);
        }
        let route = RouteRef { method: &routed.route.method, path: &routed.route.path, parameters: &routed.parameters };
        let authorizer = match self.authorize(routed.route, &request, route).await {
            Ok(context) => context,
            Err(refusal) => return self.refuse(refusal, &request),
        };
        request.body = match read_body(declared, body, self.settings.body).await {
            Ok(body) => body,
            Err(BodyError::TooLarge) => return self.refuse(Refusal::TooLarge, &request),
            Err(BodyError::Slow) => return closing(self.refuse(Refusal::SlowRequest, &request)),
            Err(BodyError::Broken) => return closing(self.refuse(Refusal::BadRequest, &request)),
        };
        let answered = match &routed.route.target {
            Target::Function { function, payload, streamed } => {
                let event = self.event(*payload, &request, route, authorizer.as_ref());
                if *streamed && self.settings.api.kind == ApiKind::Rest {
                    self.streamed(function, routed.route, &request, event).await
                } else {
                    self.function(function, *payload, routed.route, &request, event).await
                }
            }
            Target::S3(integration) => {
                object::answer(integration, self.settings.buckets.as_ref(), &request, &routed.parameters)
                    .await
                    .ok_or(Refusal::ApiConfiguration)
            }
            Target::Mock(integration) => mapping::mock(integration).ok_or(Refusal::ApiConfiguration),
            Target::Http { .. } => {
                tracing::error!(path = routed.route.path, "HTTP integrations are not run by this gateway");
                Err(Refusal::ApiConfiguration)
            }
        };
        let mut reply = answered.unwrap_or_else(|refusal| self.refuse(refusal, &request));
        if let (ApiKind::Http, Some(rules)) = (self.settings.api.kind, &self.settings.api.cors) {
            cors::add_headers(rules, &request.headers, reply.headers_mut());
        }
        if let Ok(id) = HeaderValue::from_str(&request.id) {
            reply.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        reply
    }

    async fn authorize(
        &self,
        route: &Route,
        request: &GatewayRequest,
        at: RouteRef<'_>,
    ) -> Result<Option<AuthorizerContext>, Refusal> {
        let Some(name) = &route.authorizer else { return Ok(None) };
        let settings = &self.settings;
        let asked = self.authorizers.authorize(
            name,
            &settings.identity,
            request,
            at,
            settings.functions.as_ref(),
            settings.clock.as_ref(),
        );
        match tokio::time::timeout(GATEWAY_TIMEOUT, asked).await {
            Ok(context) => context.map(Some),
            Err(_) => Err(Refusal::AuthorizerFailure),
        }
    }

    fn event(
        &self,
        payload: PayloadVersion,
        request: &GatewayRequest,
        at: RouteRef<'_>,
        authorizer: Option<&AuthorizerContext>,
    ) -> Bytes {
        let identity = &self.settings.identity;
        match self.settings.api.kind {
            ApiKind::Rest => rest_event(identity, request, at, authorizer, self.binary.request(&request.headers)),
            _ => http_event(payload, identity, request, at, authorizer),
        }
    }

    /// Sends the answer on as it comes: its size is the function's affair, and its time 15 minutes at most.
    async fn streamed(
        &self,
        function: &str,
        route: &Route,
        request: &GatewayRequest,
        event: Bytes,
    ) -> Result<Reply, Refusal> {
        let limit = route.timeout_ms.map_or(GATEWAY_TIMEOUT, |ms| Duration::from_millis(ms.into()));
        let deadline = Instant::now() + limit.min(GATEWAY_STREAM_TIMEOUT_MAX);
        let invoked = timeout_at(deadline, self.settings.functions.invoke_streamed(function, event)).await;
        let StreamedReply { status, headers, body } =
            invoked.map_err(|_| Refusal::IntegrationTimeout)?.map_err(|error| self.failed(function, &error))?;
        tracing::debug!(function, request_id = request.id, "the answer is streamed");
        let head = respond(FunctionReply { status, headers, body: Bytes::new() }, true);
        Ok(head.map(|_| stream_until(body, deadline)))
    }

    async fn function(
        &self,
        function: &str,
        payload: PayloadVersion,
        route: &Route,
        request: &GatewayRequest,
        event: Bytes,
    ) -> Result<Reply, Refusal> {
        let settings = &self.settings;
        let rest = settings.api.kind == ApiKind::Rest;
        let limit =
            route.timeout_ms.map_or(GATEWAY_TIMEOUT, |ms| Duration::from_millis(ms.into()).min(GATEWAY_TIMEOUT));
        let invoked = tokio::time::timeout(limit, settings.functions.invoke(function, event)).await;
        let answer =
            invoked.map_err(|_| Refusal::IntegrationTimeout)?.map_err(|error| self.failed(function, &error))?;
        let parsed = match (rest, payload) {
            (true, _) => parse_rest_reply(&answer, self.binary.response(&request.headers)),
            (false, PayloadVersion::V1) => parse_rest_reply(&answer, true),
            (false, PayloadVersion::V2) => parse_http_reply(&answer),
        };
        let reply = parsed.map_err(|error| {
            tracing::error!(%error, function, request_id = request.id, "the answer is refused");
            Refusal::BadIntegration
        })?;
        Ok(respond(reply, rest))
    }

    fn failed(&self, function: &str, error: &InvokeError) -> Refusal {
        match error {
            InvokeError::EventTooLarge => Refusal::TooLarge,
            InvokeError::Throttled => Refusal::Throttled,
            InvokeError::Unhandled { .. }
            | InvokeError::TimedOut
            | InvokeError::ReplyTooLarge
            | InvokeError::Unavailable(_) => {
                tracing::error!(%error, function, "the function failed");
                Refusal::BadIntegration
            }
        }
    }
}

/// What ANY stands for in a preflight's answer; OPTIONS itself is added to it.
fn methods_of_any() -> Vec<String> {
    ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"].map(str::to_owned).into()
}

/// Headers that belong to the connection, and are the gateway's to set.
const OWN: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Headers that a REST API hands on under another name ("Important notes", API Gateway developer guide).
const REMAPPED: [(&str, &str); 3] = [
    ("date", "x-amzn-remapped-date"),
    ("server", "x-amzn-remapped-server"),
    ("www-authenticate", "x-amzn-remapped-www-authenticate"),
];

fn respond(reply: FunctionReply, rest: bool) -> Reply {
    let FunctionReply { status, mut headers, body } = reply;
    for name in OWN {
        headers.remove(name);
    }
    if rest {
        for (name, new) in REMAPPED {
            if let Some(value) = headers.remove(name) {
                headers.insert(HeaderName::from_static(new), value);
            }
        }
        headers.entry(http::header::CONTENT_TYPE).or_insert_with(|| HeaderValue::from_static("application/json"));
    }
    let body: Bytes = body;
    let mut reply = http::Response::new(full(body));
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    reply
}

/// The rest of the request is not waited for.
fn closing(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    reply
}
