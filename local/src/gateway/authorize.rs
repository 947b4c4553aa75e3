//! Lambda authorizers: who is asked, with what, and for how long the answer holds.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cloud::{Clock, Millis};
use regex::Regex;
use sam::{ApiKind, Authorizer, AuthorizerKind, PayloadVersion};

use super::refusal::Refusal;
use crate::events::{
    ApiIdentity, Authorization, AuthorizerContext, AuthorizerReply, GatewayRequest, RouteRef,
    http_request_authorizer_event, parse_authorizer_reply, request_authorizer_event, token_authorizer_event,
};
use crate::functions::{Functions, InvokeError};

/// Answers that are kept; the cache starts anew when it is full.
const KEPT_MAX: usize = 10_000;

/// The authorizer's name and the values of its identity sources.
type Asked = (String, Vec<String>);

/// The authorizers of one API.
pub struct Authorizers {
    kind: ApiKind,
    all: HashMap<String, Prepared>,
    kept: Mutex<HashMap<Asked, (Millis, AuthorizerReply)>>,
}

struct Prepared {
    authorizer: Authorizer,
    validation: Option<Regex>,
}

impl Authorizers {
    /// Authorizers of kinds that this gateway does not run refuse every request of their routes.
    pub fn new(api: &sam::Api) -> Self {
        let mut all = HashMap::new();
        for (name, authorizer) in &api.authorizers {
            let runnable = matches!(authorizer.kind, AuthorizerKind::Request | AuthorizerKind::Token);
            let validation = authorizer.validation.as_ref().map(|pattern| Regex::new(&format!("^(?:{pattern})$")));
            match validation.transpose() {
                Ok(validation) if runnable && authorizer.function.is_some() => {
                    all.insert(name.clone(), Prepared { authorizer: authorizer.clone(), validation });
                }
                _ if api.routes.iter().any(|route| route.authorizer.as_ref() == Some(name)) => {
                    tracing::error!(
                        authorizer = name,
                        "only Lambda authorizers (REQUEST, TOKEN) of the same template are run; its routes answer 500"
                    );
                }
                _ => {}
            }
        }
        Self { kind: api.kind, all, kept: Mutex::default() }
    }

    /// Asks the authorizer `name` about the request.
    pub async fn authorize(
        &self,
        name: &str,
        api: &ApiIdentity,
        request: &GatewayRequest,
        route: RouteRef<'_>,
        functions: &dyn Functions,
        clock: &dyn Clock,
    ) -> Result<AuthorizerContext, Refusal> {
        let prepared = self.all.get(name).ok_or(Refusal::AuthorizerConfiguration)?;
        let authorizer = &prepared.authorizer;
        let identity = self.identity(prepared, api, request)?;
        let ttl = Duration::from_secs(authorizer.ttl_s.into());
        let key = (name.to_owned(), identity);
        let kept = if ttl.is_zero() || key.1.is_empty() { None } else { self.recall(&key, clock.now()) };
        let reply = match kept {
            Some(reply) => reply,
            None => {
                let reply = self.ask(authorizer, api, request, route, &key.1, functions).await?;
                if !ttl.is_zero() && !key.1.is_empty() {
                    self.keep(key, clock.now().plus(ttl), reply.clone());
                }
                reply
            }
        };
        match reply.decide(&api.method_arn(&request.method, &request.path)) {
            Authorization::Allowed => Ok(reply.context),
            Authorization::Denied => Err(Refusal::AccessDenied),
        }
    }

    /// The values of the identity sources; a missing one refuses the request without asking.
    fn identity(
        &self,
        prepared: &Prepared,
        api: &ApiIdentity,
        request: &GatewayRequest,
    ) -> Result<Vec<String>, Refusal> {
        let authorizer = &prepared.authorizer;
        let token = authorizer.kind == AuthorizerKind::Token;
        let default = ["method.request.header.Authorization".to_owned()];
        let sources: &[String] =
            if token && authorizer.identity_sources.is_empty() { &default } else { &authorizer.identity_sources };
        let mut values = Vec::with_capacity(sources.len());
        for source in sources {
            let value = source_value(source, api, request).filter(|value| !value.is_empty());
            values.push(value.ok_or(Refusal::Unauthorized)?);
        }
        if let (true, Some(pattern), Some(value)) = (token, &prepared.validation, values.first())
            && !pattern.is_match(value)
        {
            return Err(Refusal::Unauthorized);
        }
        Ok(values)
    }

    async fn ask(
        &self,
        authorizer: &Authorizer,
        api: &ApiIdentity,
        request: &GatewayRequest,
        route: RouteRef<'_>,
        identity: &[String],
        functions: &dyn Functions,
    ) -> Result<AuthorizerReply, Refusal> {
        let function = authorizer.function.as_deref().ok_or(Refusal::AuthorizerConfiguration)?;
        let version_2 = self.kind == ApiKind::Http && authorizer.payload == PayloadVersion::V2;
        let event = match authorizer.kind {
            AuthorizerKind::Token => {
                let token = identity.first().map(String::as_str).unwrap_or_default();
                token_authorizer_event(api, request, token)
            }
            _ if version_2 => http_request_authorizer_event(api, request, route, identity),
            _ => request_authorizer_event(api, request, route),
        };
        match functions.invoke(function, event).await {
            Ok(payload) => parse_authorizer_reply(&payload, version_2 && authorizer.simple_responses)
                .ok_or(Refusal::AuthorizerConfiguration),
            // The one message that means 401 (API Gateway developer guide, "Output from a Lambda authorizer").
            Err(InvokeError::Unhandled { message }) if message == "Unauthorized" => Err(Refusal::Unauthorized),
            Err(error) => {
                tracing::error!(%error, function, "the authorizer failed");
                Err(Refusal::AuthorizerFailure)
            }
        }
    }

    fn recall(&self, key: &Asked, now: Millis) -> Option<AuthorizerReply> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(until, _)| *until > now).map(|(_, reply)| reply.clone())
    }

    fn keep(&self, key: Asked, until: Millis, reply: AuthorizerReply) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(key, (until, reply));
    }
}

/// The value of `method.request.header.X`, `$request.querystring.x`, `context.x`, `stageVariables.x` and their like.
fn source_value(source: &str, api: &ApiIdentity, request: &GatewayRequest) -> Option<String> {
    let source = source.strip_prefix("method.").unwrap_or(source).trim_start_matches('$');
    if let Some(name) = source.strip_prefix("request.header.") {
        return request.headers.get(name)?.to_str().ok().map(str::to_owned);
    }
    if let Some(name) = source.strip_prefix("request.querystring.") {
        let query = request.query.as_deref()?.as_bytes();
        return url::form_urlencoded::parse(query)
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned());
    }
    if let Some(name) = source.strip_prefix("stageVariables.") {
        return api.stage_variables.get(name).cloned();
    }
    match source.strip_prefix("context.")? {
        "httpMethod" => Some(request.method.to_string()),
        "path" => Some(request.path.clone()),
        "stage" => Some(api.stage.clone()),
        "identity.sourceIp" => Some(request.source_ip.to_string()),
        _ => None,
    }
}
