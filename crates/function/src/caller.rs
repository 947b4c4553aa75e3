//! The caller, as the authorizer proved it.

use std::collections::BTreeMap;
use std::ops::Deref;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use identity::Principal;
use lambda_http::request::RequestContext;

use crate::Problem;
use crate::idempotency::key_of;

/// The id of one request: the gateway's.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Joins what one action of a client sets off; the client's own (`X-Correlation-Id`), or the request's id.
#[derive(Clone, Debug)]
pub struct CorrelationId(pub String);

/// The proven caller of a request; 401 when there is none.
#[derive(Clone, Debug)]
pub struct Caller(pub domain::Caller);

impl Deref for Caller {
    type Target = domain::Caller;
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let principal = principal_of(&parts.extensions).ok_or_else(Problem::unauthenticated)?;
        let correlation = parts.extensions.get::<CorrelationId>().map(|id| id.0.clone()).unwrap_or_default();
        let idempotency_token = key_of(&parts.headers)?.map(ToOwned::to_owned);
        Ok(Self(domain::Caller { idempotency_token, ..domain::Caller::new(principal, correlation) }))
    }
}

/// The correlation id of a request that needs no caller.
#[derive(Clone, Debug, Default)]
pub struct Correlation(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Correlation {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(parts.extensions.get::<CorrelationId>().map(|id| id.0.clone()).unwrap_or_default()))
    }
}

/// The principal of a request: put there by a route that proved it itself, or by the authorizer.
pub fn principal_of(extensions: &Extensions) -> Option<Principal> {
    if let Some(principal) = extensions.get::<Principal>() {
        return Some(principal.clone());
    }
    let RequestContext::ApiGatewayV1(context) = extensions.get::<RequestContext>()? else { return None };
    let fields = context.authorizer.fields.iter();
    let strings = fields.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    Principal::from_context(&strings.collect::<BTreeMap<_, _>>()).ok()
}

/// The gateway's id of a request.
pub(crate) fn gateway_request_id(extensions: &Extensions) -> Option<String> {
    match extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV1(context) => context.request_id.clone(),
        RequestContext::ApiGatewayV2(context) => context.request_id.clone(),
        _ => None,
    }
}
