//! The REQUEST authorizer of the REST API: proves who is calling, and nothing more.
//!
//! The policy covers the whole stage, because what a caller may do is decided in the domain on every request. A
//! principal travels in the context to the functions behind the gateway.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::collections::BTreeMap;

use cloud::Access::{self, CheckRecords, GetRecords, PutRecords, ReadParameters};
use function::{Refused, prove};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use identity::{AuthenticationError, Identity};
use serde::Deserialize;
use serde_json::{Value, json};

/// What the authorizer may do with the ports: read accounts, sessions, tokens and the keys that sign, and note when a
/// token was used.
pub const ACCESS: &[Access] = &[GetRecords, PutRecords, CheckRecords, ReadParameters];

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The gateway answers 401 to exactly this text (API Gateway, "Lambda authorizer output").
    #[error("Unauthorized")]
    Unauthorized,
    /// The gateway answers 500: identity could not be checked, or the event is not an authorizer's.
    #[error("{0}")]
    Failed(String),
}

/// What is read of the event (API Gateway, "Input to a Lambda authorizer", type REQUEST).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    method_arn: String,
    http_method: String,
    headers: Option<BTreeMap<String, String>>,
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
}

/// Answers an authorizer event with a policy for the stage and the principal as context. A cross-site request with a
/// good session cookie gets a policy that denies (403); anything that proves nobody is `Unauthorized` (401).
pub async fn authorize(identity: &Identity, event: Value) -> Result<Value, Refusal> {
    let event: Event = serde_json::from_value(event)
        .map_err(|error| Refusal::Failed(format!("the event is not a REQUEST authorizer's: {error}")))?;
    let stage = stage_arn(&event.method_arn)?;
    let method = Method::from_bytes(event.http_method.as_bytes()).map_err(|_| Refusal::Unauthorized)?;
    let headers = headers(&event).ok_or(Refusal::Unauthorized)?;
    match prove(identity, &method, &headers).await {
        Ok(principal) => Ok(policy("Allow", principal.account.as_str(), &stage, json!(principal.to_context()))),
        Err(Refused::CrossSite) => Ok(policy("Deny", "cross-site", &stage, json!({}))),
        Err(Refused::Unauthenticated(AuthenticationError::Unavailable(error))) => {
            tracing::error!(%error, "a credential could not be checked");
            Err(Refusal::Failed("the credential could not be checked".into()))
        }
        Err(Refused::Unauthenticated(reason)) => {
            tracing::debug!(%reason, "refused");
            Err(Refusal::Unauthorized)
        }
    }
}

/// `arn:…:{api}/{stage}/*` of `arn:…:{api}/{stage}/{method}/{path}`.
fn stage_arn(method_arn: &str) -> Result<String, Refusal> {
    let mut parts = method_arn.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(api), Some(stage), Some(_)) if api.starts_with("arn:") && !stage.is_empty() => {
            Ok(format!("{api}/{stage}/*"))
        }
        _ => Err(Refusal::Failed("methodArn is not the ARN of a method".into())),
    }
}

/// The headers with all their values; `None` when one is not a header.
fn headers(event: &Event) -> Option<HeaderMap> {
    let single = event.headers.iter().flatten().map(|(name, value)| (name, value.as_str()));
    let multiple = event.multi_value_headers.iter().flatten();
    let multiple = multiple.flat_map(|(name, values)| values.iter().map(move |value| (name, value.as_str())));
    let pairs: Vec<(&String, &str)> =
        if event.multi_value_headers.is_some() { multiple.collect() } else { single.collect() };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    Some(headers)
}

fn policy(effect: &str, principal: &str, resource: &str, context: Value) -> Value {
    json!({
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{ "Action": "execute-api:Invoke", "Effect": effect, "Resource": [resource] }],
        },
        "context": context,
    })
}
