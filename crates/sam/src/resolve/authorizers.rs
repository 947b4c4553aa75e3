//! Who checks a request before a function sees it.

use super::api::{ApiDefaults, WantedAuthorizer};
use super::{Building, Reading};
use crate::node::Node;
use crate::{Api, Authorizer, AuthorizerKind, PayloadVersion};

/// Seconds that a REST API keeps a result when nothing is said (API Gateway, `authorizerResultTtlInSeconds`).
pub(super) const REST_TTL_S: u32 = 300;
/// The longest that a result is kept.
pub(super) const TTL_S_MAX: u32 = 3_600;

/// An authorizer with the defaults of its kind.
pub(super) fn authorizer(kind: AuthorizerKind, function: Option<String>) -> Authorizer {
    Authorizer {
        kind,
        function,
        identity_sources: Vec::new(),
        ttl_s: 0,
        validation: None,
        payload: PayloadVersion::V1,
        simple_responses: false,
    }
}

impl<'a> Building<'a> {
    /// `Auth` of an `AWS::Serverless::Api`.
    pub(super) fn rest_auth(&mut self, reading: &Reading<'a>, api: &mut Api) {
        let auth = reading.properties.get("Auth");
        let get = |key: &str| auth.as_ref().and_then(|auth| auth.get(key));
        for (name, node) in get("Authorizers").iter().flat_map(Node::entries) {
            if let Some(found) = self.rest_authorizer(&node) {
                api.authorizers.insert(name.to_owned(), found);
            }
        }
        for property in ["ResourcePolicy", "UsagePlan"] {
            if get(property).is_some() {
                self.unsupported(reading, Some(&format!("Auth.{property}")), "the property has no effect here");
            }
        }
        let defaults = ApiDefaults {
            authorizer: get("DefaultAuthorizer").and_then(|name| name.text()).filter(|name| name != "NONE"),
            authorizer_on_preflight: get("AddDefaultAuthorizerToCorsPreflight").is_none_or(|flag| flag.flag()),
            api_key_required: get("ApiKeyRequired").is_some_and(|flag| flag.flag()),
            only_definition: false,
        };
        api.authorizers.insert("AWS_IAM".into(), authorizer(AuthorizerKind::Iam, None));
        self.api_defaults.insert(reading.logical.to_owned(), defaults);
    }

    fn rest_authorizer(&mut self, node: &Node<'a>) -> Option<Authorizer> {
        let identity = node.get("Identity");
        let get = |key: &str| identity.as_ref().and_then(|identity| identity.get(key));
        let header = get("Header").and_then(|header| header.text()).unwrap_or_else(|| "Authorization".into());
        let ttl_s = get("ReauthorizeEvery").and_then(|ttl| ttl.number(0..=TTL_S_MAX)).unwrap_or(REST_TTL_S);
        let validation = get("ValidationExpression").and_then(|node| node.text());
        if let Some(pools) = node.get("UserPoolArn") {
            let pools = pools.items().iter().filter_map(|pool| pool.text()).collect();
            return Some(authorizer(AuthorizerKind::Cognito { pools }, None));
        }
        let function = self.function_of(&node.get("FunctionArn")?);
        if function.is_none() {
            node.problem("the authorizer's function is not one of this template");
        }
        let request = node.get("FunctionPayloadType").and_then(|kind| kind.text()).as_deref() == Some("REQUEST");
        let identity_sources = match request {
            true => sources(identity.as_ref(), "method.request.", ""),
            false => vec![format!("method.request.header.{header}")],
        };
        let kind = if request { AuthorizerKind::Request } else { AuthorizerKind::Token };
        Some(Authorizer { identity_sources, ttl_s, validation, ..authorizer(kind, function) })
    }

    /// `Auth` of an `AWS::Serverless::HttpApi`.
    pub(super) fn http_auth(&mut self, reading: &Reading<'a>, api: &mut Api) {
        let auth = reading.properties.get("Auth");
        let get = |key: &str| auth.as_ref().and_then(|auth| auth.get(key));
        for (name, node) in get("Authorizers").iter().flat_map(Node::entries) {
            if let Some(found) = self.http_authorizer(&node) {
                api.authorizers.insert(name.to_owned(), found);
            }
        }
        api.authorizers.insert("AWS_IAM".into(), authorizer(AuthorizerKind::Iam, None));
        let defaults = ApiDefaults {
            authorizer: get("DefaultAuthorizer").and_then(|name| name.text()).filter(|name| name != "NONE"),
            ..ApiDefaults::default()
        };
        self.api_defaults.insert(reading.logical.to_owned(), defaults);
    }

    fn http_authorizer(&mut self, node: &Node<'a>) -> Option<Authorizer> {
        if let Some(jwt) = node.get("JwtConfiguration") {
            let issuer = jwt.get("issuer").and_then(|issuer| issuer.text()).unwrap_or_default();
            let audience = jwt.get("audience").map(|audience| audience.texts()).unwrap_or_default();
            let source = node.get("IdentitySource").and_then(|source| source.text());
            let identity_sources = source.into_iter().collect();
            return Some(Authorizer { identity_sources, ..authorizer(AuthorizerKind::Jwt { issuer, audience }, None) });
        }
        let Some(arn) = node.get("FunctionArn") else {
            node.problem("an authorizer has a `FunctionArn` or a `JwtConfiguration`");
            return None;
        };
        let function = self.function_of(&arn);
        if function.is_none() {
            arn.problem("the authorizer's function is not one of this template");
        }
        let identity = node.get("Identity");
        let ttl = identity.as_ref().and_then(|identity| identity.get("ReauthorizeEvery"));
        let version = node.get("AuthorizerPayloadFormatVersion").and_then(|version| version.text());
        Some(Authorizer {
            identity_sources: sources(identity.as_ref(), "$request.", "$"),
            ttl_s: ttl.and_then(|ttl| ttl.number(0..=TTL_S_MAX)).unwrap_or(0),
            payload: payload(version.as_deref(), PayloadVersion::V2),
            simple_responses: node.get("EnableSimpleResponses").is_some_and(|flag| flag.flag()),
            ..authorizer(AuthorizerKind::Request, function)
        })
    }

    /// `Auth` of a function's event.
    pub(super) fn wanted_authorizer(&mut self, reading: &Reading<'a>, auth: Option<&Node<'a>>) -> WantedAuthorizer {
        let get = |key: &str| auth.and_then(|auth| auth.get(key));
        if get("ResourcePolicy").is_some() {
            self.unsupported(reading, Some("Auth.ResourcePolicy"), "the property has no effect here");
        }
        WantedAuthorizer {
            name: get("Authorizer").and_then(|name| name.text()),
            scopes: get("AuthorizationScopes").map(|scopes| scopes.texts()).unwrap_or_default(),
            api_key_required: get("ApiKeyRequired").map(|flag| flag.flag()),
        }
    }

    /// The function that an ARN or integration URI names, also by one of its aliases.
    pub(super) fn function_of(&self, node: &Node<'a>) -> Option<String> {
        let logical = node.resource()?;
        if self.app.functions.contains_key(&logical) {
            return Some(logical);
        }
        let aliased =
            |function: &&String| logical.strip_prefix(function.as_str()).is_some_and(|rest| rest.starts_with("Alias"));
        self.app.functions.keys().find(aliased).cloned()
    }
}

pub(super) fn payload(version: Option<&str>, default: PayloadVersion) -> PayloadVersion {
    match version {
        Some("1.0" | "1") => PayloadVersion::V1,
        Some("2.0" | "2") => PayloadVersion::V2,
        _ => default,
    }
}

/// `Identity` as API Gateway writes sources: `method.request.header.X`, `stageVariables.Y`, `context.Z`.
fn sources(identity: Option<&Node<'_>>, request: &str, other: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (key, prefix) in [
        ("Headers", format!("{request}header.")),
        ("QueryStrings", format!("{request}querystring.")),
        ("StageVariables", format!("{other}stageVariables.")),
        ("Context", format!("{other}context.")),
    ] {
        let names = identity.and_then(|identity| identity.get(key)).map(|names| names.texts()).unwrap_or_default();
        all.extend(names.iter().map(|name| format!("{prefix}{name}")));
    }
    all
}
