//! What a Lambda authorizer is asked, and what its answer allows.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::http_api::CommonV2;
use super::request::{ApiIdentity, AuthorizerContext, GatewayRequest, Query, RouteRef};
use super::rest::Common;

/// The event of a REQUEST authorizer (REST API, and HTTP API with payload version 1.0).
pub fn request_authorizer_event(api: &ApiIdentity, request: &GatewayRequest, route: RouteRef<'_>) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a> {
        r#type: &'static str,
        method_arn: String,
        #[serde(flatten)]
        common: Common<'a>,
    }
    let query = Query::parse(request.query.as_deref());
    super::to_json(&Event {
        r#type: "REQUEST",
        method_arn: api.method_arn(&request.method, &request.path),
        common: Common::new(api, request, route, &query, None),
    })
}

/// The event of a TOKEN authorizer.
pub fn token_authorizer_event(api: &ApiIdentity, request: &GatewayRequest, token: &str) -> Bytes {
    super::to_json(&json!({
        "type": "TOKEN",
        "authorizationToken": token,
        "methodArn": api.method_arn(&request.method, &request.path),
    }))
}

/// The event of an HTTP API's authorizer with payload version 2.0.
pub fn http_request_authorizer_event(
    api: &ApiIdentity,
    request: &GatewayRequest,
    route: RouteRef<'_>,
    identity: &[String],
) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Event<'a> {
        r#type: &'static str,
        route_arn: String,
        identity_source: &'a [String],
        #[serde(flatten)]
        common: CommonV2<'a>,
    }
    let query = Query::parse(request.query.as_deref());
    super::to_json(&Event {
        r#type: "REQUEST",
        route_arn: api.method_arn(&request.method, &request.path),
        identity_source: identity,
        common: CommonV2::new(api, request, route, &query, None),
    })
}

/// An authorizer's answer, read.
#[derive(Clone, Debug)]
pub struct AuthorizerReply {
    pub context: AuthorizerContext,
    policy: Policy,
}

#[derive(Clone, Debug)]
enum Policy {
    Simple(bool),
    Document(Vec<Statement>),
}

/// What an answer means for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    Allowed,
    Denied,
}

impl AuthorizerReply {
    /// An explicit Deny wins; what is not allowed is denied.
    pub fn decide(&self, method_arn: &str) -> Authorization {
        let statements = match &self.policy {
            Policy::Simple(true) => return Authorization::Allowed,
            Policy::Simple(false) => return Authorization::Denied,
            Policy::Document(statements) => statements,
        };
        let matching = |effect| statements.iter().any(|one| one.effect == effect && one.covers(method_arn));
        if !matching(Effect::Deny) && matching(Effect::Allow) { Authorization::Allowed } else { Authorization::Denied }
    }
}

/// Reads a policy answer, or a simple one where `simple` says so. `None` when it is neither: the gateway then
/// answers 500.
pub fn parse_authorizer_reply(payload: &[u8], simple: bool) -> Option<AuthorizerReply> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Reply {
        principal_id: Option<String>,
        policy_document: Option<Document>,
        is_authorized: Option<bool>,
        #[serde(default)]
        context: Option<Map<String, Value>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        statement: OneOrMany<Statement>,
    }
    let reply: Reply = serde_json::from_slice(payload).ok()?;
    let context = reply.context.unwrap_or_default();
    if simple {
        let values = context;
        let principal_id = reply.principal_id.unwrap_or_default();
        return Some(AuthorizerReply {
            context: AuthorizerContext { principal_id, values },
            policy: Policy::Simple(reply.is_authorized?),
        });
    }
    let values = context.into_iter().map(|(name, value)| Some((name, as_text(value)?))).collect::<Option<_>>()?;
    Some(AuthorizerReply {
        context: AuthorizerContext { principal_id: reply.principal_id?, values },
        policy: Policy::Document(reply.policy_document?.statement.into_vec()),
    })
}

/// REST APIs hand every value on as text, and refuse objects and arrays.
fn as_text(value: Value) -> Option<Value> {
    match value {
        Value::String(_) | Value::Null => Some(value),
        Value::Bool(_) | Value::Number(_) => Some(Value::String(value.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: Effect,
    #[serde(default)]
    action: OneOrMany<String>,
    #[serde(default)]
    resource: OneOrMany<String>,
    // What this reader does not evaluate never widens a policy: see `covers`.
    #[serde(default)]
    condition: Option<Value>,
    #[serde(default)]
    not_action: Option<Value>,
    #[serde(default)]
    not_resource: Option<Value>,
}

impl Statement {
    fn covers(&self, method_arn: &str) -> bool {
        if self.condition.is_some() || self.not_action.is_some() || self.not_resource.is_some() {
            return self.effect == Effect::Deny;
        }
        let action =
            self.action.0.iter().any(|pattern| matches_wildcard(&pattern.to_lowercase(), "execute-api:invoke"));
        action && self.resource.0.iter().any(|pattern| matches_wildcard(pattern, method_arn))
    }
}

#[derive(Clone, Debug)]
struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Many(Vec<T>),
            One(T),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Many(many) => many,
            Either::One(one) => vec![one],
        }))
    }
}

/// IAM wildcards: `*` any run of characters, `?` any one. Linear in the text for each `*`.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            p = at + 1;
            t = from + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:execute-api:eu-central-1:000000000000:api/dev/GET/projects/demo";

    fn decide(policy: Value) -> Authorization {
        let reply = json!({ "principalId": "someone", "policyDocument": policy });
        parse_authorizer_reply(reply.to_string().as_bytes(), false).unwrap().decide(ARN)
    }

    #[test]
    fn a_policy_over_the_stage_allows() {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{ "Action": "execute-api:Invoke", "Effect": "Allow",
            "Resource": "arn:aws:execute-api:eu-central-1:000000000000:api/dev/*" }] });
        assert_eq!(decide(policy), Authorization::Allowed);
    }

    #[test]
    fn deny_wins_over_allow() {
        let policy = json!({ "Statement": [
            { "Action": "*", "Effect": "Allow", "Resource": "*" },
            { "Action": ["execute-api:Invoke"], "Effect": "Deny", "Resource": ["*/GET/projects/*"] },
        ] });
        assert_eq!(decide(policy), Authorization::Denied);
    }

    #[test]
    fn what_is_not_named_is_denied() {
        let other_stage = json!({ "Statement": { "Action": "execute-api:Invoke", "Effect": "Allow",
            "Resource": "arn:aws:execute-api:eu-central-1:000000000000:api/prod/*" } });
        assert_eq!(decide(other_stage), Authorization::Denied);
        let other_action = json!({ "Statement": { "Action": "s3:GetObject", "Effect": "Allow", "Resource": "*" } });
        assert_eq!(decide(other_action), Authorization::Denied);
    }

    #[test]
    fn a_condition_never_widens() {
        let allow = json!({ "Statement": { "Action": "*", "Effect": "Allow", "Resource": "*",
            "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } } } });
        assert_eq!(decide(allow), Authorization::Denied);
    }

    #[test]
    fn context_values_become_text_and_nested_ones_are_refused() {
        let reply = json!({ "principalId": "p", "policyDocument": { "Statement": [] },
            "context": { "admin": true, "count": 3, "name": "x" } });
        let read = parse_authorizer_reply(reply.to_string().as_bytes(), false).unwrap();
        assert_eq!(Value::from(read.context.values), json!({ "admin": "true", "count": "3", "name": "x" }));
        let nested = json!({ "principalId": "p", "policyDocument": { "Statement": [] }, "context": { "a": {} } });
        assert!(parse_authorizer_reply(nested.to_string().as_bytes(), false).is_none());
    }

    #[test]
    fn answers_of_another_shape_are_refused() {
        for raw in
            ["", "null", "{}", r#"{"principalId":"p"}"#, r#"{"principalId":"p","policyDocument":{"Statement":[{}]}}"#]
        {
            assert!(parse_authorizer_reply(raw.as_bytes(), false).is_none(), "{raw}");
        }
        assert!(parse_authorizer_reply(b"{}", true).is_none());
        let simple = parse_authorizer_reply(br#"{"isAuthorized":false}"#, true).unwrap();
        assert_eq!(simple.decide(ARN), Authorization::Denied);
    }

    #[test]
    fn wildcards_match_as_in_iam() {
        assert!(matches_wildcard("*", ""));
        assert!(matches_wildcard("a*c?", "abbbcd"));
        assert!(!matches_wildcard("a*c?", "abbbc"));
        assert!(matches_wildcard("a**b", "ab"));
        assert!(!matches_wildcard("", "a"));
        let many = "*a".repeat(200);
        assert!(!matches_wildcard(&format!("{many}b"), &"a".repeat(5_000)));
    }
}
