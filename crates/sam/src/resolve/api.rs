//! REST and HTTP APIs: what they are, and the routes that function events add.

use std::collections::BTreeMap;

use super::{Building, Reading};
use crate::node::Node;
use crate::{Api, ApiKind, AuthorizerKind, Cors, GatewayResponse, Refusal, Route, Target};

/// The longest route path, in bytes, and the most segments.
const ROUTE_PATH_BYTES_MAX: usize = 1024;
/// Most routes of one API (API Gateway quota: 300 resources; each may have every method).
const ROUTES_MAX: usize = 2_000;

/// What an event or a definition asks for.
pub(super) struct Wanted {
    pub method: String,
    pub path: String,
    pub target: Target,
    pub authorizer: WantedAuthorizer,
    pub timeout_ms: Option<u32>,
}

/// The `Auth` of one route.
#[derive(Clone, Debug, Default)]
pub(super) struct WantedAuthorizer {
    /// `Some("NONE")` for no authorizer, `None` for the API's default.
    pub name: Option<String>,
    pub scopes: Vec<String>,
    pub api_key_required: Option<bool>,
}

/// What an API says about routes that say nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiDefaults {
    pub authorizer: Option<String>,
    pub authorizer_on_preflight: bool,
    pub api_key_required: bool,
    /// The API has a definition of its own without `MergeDefinitions`: SAM adds no routes for events to it.
    pub only_definition: bool,
}

/// A method as routes name it.
pub(super) fn method(raw: &str) -> String {
    match raw.to_ascii_uppercase().as_str() {
        "ANY" | "*" | "X-AMAZON-APIGATEWAY-ANY-METHOD" => "ANY".into(),
        other => other.to_owned(),
    }
}

/// A media type; SAM takes `~1` for `/`.
pub(super) fn media_type(raw: &str) -> String {
    raw.replace("~1", "/")
}

pub(super) fn new_api(reading: &Reading<'_>, kind: ApiKind, stage: &str) -> Api {
    let text = |key: &str| reading.properties.get(key).and_then(|node| node.text());
    Api {
        logical_id: reading.logical.to_owned(),
        kind,
        name: text("Name"),
        stage: text("StageName").unwrap_or_else(|| stage.to_owned()),
        stage_variables: BTreeMap::new(),
        routes: Vec::new(),
        cors: None,
        authorizers: BTreeMap::new(),
        binary_media_types: Vec::new(),
        gateway_responses: BTreeMap::new(),
        minimum_compression_bytes: None,
        route_selection: None,
    }
}

impl<'a> Building<'a> {
    /// `AWS::Serverless::Api` and `AWS::ApiGateway::RestApi`.
    pub(super) fn rest_api(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let mut api = new_api(reading, ApiKind::Rest, "");
        if reading.kind == "AWS::Serverless::Api" && api.stage.is_empty() {
            properties.problem("an API has a `StageName`");
        }
        let variables = properties.get("Variables");
        api.stage_variables = variables.map(|variables| variables.text_map()).unwrap_or_default();
        let types = properties.get("BinaryMediaTypes").map(|types| types.texts()).unwrap_or_default();
        api.binary_media_types = types.iter().map(|kind| media_type(kind)).collect();
        let compression = properties.get("MinimumCompressionSize");
        api.minimum_compression_bytes = compression.and_then(|size| size.number(0..=10_485_760)).map(u64::from);
        api.cors = properties.get("Cors").and_then(|cors| rest_cors(&cors));
        for (kind, response) in properties.get("GatewayResponses").iter().flat_map(Node::entries) {
            api.gateway_responses.insert(kind.to_owned(), gateway_response(&response));
        }
        self.rest_auth(reading, &mut api);
        self.note_others(
            reading,
            &[
                "Name",
                "StageName",
                "Variables",
                "BinaryMediaTypes",
                "MinimumCompressionSize",
                "Cors",
                "GatewayResponses",
                "Auth",
                "DefinitionBody",
                "DefinitionUri",
                "Body",
                "BodyS3Location",
                "EndpointConfiguration",
                "OpenApiVersion",
                "FailOnWarnings",
                "MergeDefinitions",
                "AlwaysDeploy",
                "DisableExecuteApiEndpoint",
            ],
        );
        self.app.apis.insert(api.logical_id.clone(), api);
    }

    pub(super) fn http_api(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let mut api = new_api(reading, ApiKind::Http, "$default");
        let variables = properties.get("StageVariables");
        api.stage_variables = variables.map(|variables| variables.text_map()).unwrap_or_default();
        api.cors = properties.get("CorsConfiguration").and_then(|cors| http_cors(&cors));
        self.http_auth(reading, &mut api);
        self.note_others(
            reading,
            &[
                "Name",
                "StageName",
                "StageVariables",
                "CorsConfiguration",
                "Auth",
                "DefinitionBody",
                "DefinitionUri",
                "FailOnWarnings",
                "DisableExecuteApiEndpoint",
            ],
        );
        self.app.apis.insert(api.logical_id.clone(), api);
    }

    /// Adds a route for an event; the answer is the authorizer that it ends up with.
    pub(super) fn add_route(&mut self, api: &str, node: &Node<'a>, wanted: Wanted) -> Option<Option<String>> {
        let defaults = self.api_defaults.get(api).cloned().unwrap_or_default();
        let Some(known) = self.app.apis.get(api) else {
            node.problem(format!("`{api}` is not an API that takes this event"));
            return None;
        };
        let existing = known.routes.iter().find(|route| route.method == wanted.method && route.path == wanted.path);
        if defaults.only_definition {
            if existing.is_none() {
                let (method, path) = (&wanted.method, &wanted.path);
                node.problem(format!(
                    "the definition of `{api}` has no {method} {path}, and SAM adds it only with `MergeDefinitions: true`"
                ));
            }
            return existing.map(|route| route.authorizer.clone());
        }
        if existing.is_some() {
            node.problem(format!("{} {} of `{api}` is defined twice", wanted.method, wanted.path));
            return None;
        }
        let route = self.route(api, node, wanted)?;
        let authorizer = route.authorizer.clone();
        if let Some(api) = self.app.apis.get_mut(api) {
            api.routes.push(route);
        }
        Some(authorizer)
    }

    /// Makes a route from what is wanted and the API's defaults.
    pub(super) fn route(&self, api: &str, node: &Node<'a>, wanted: Wanted) -> Option<Route> {
        let defaults = self.api_defaults.get(api).cloned().unwrap_or_default();
        let known = self.app.apis.get(api)?;
        if !is_path(&wanted.path, known.kind) || known.routes.len() >= ROUTES_MAX {
            node.problem(format!("`{}` is not a path that API Gateway takes", wanted.path));
            return None;
        }
        let preflight = wanted.method == "OPTIONS" && !defaults.authorizer_on_preflight;
        let authorizer = match wanted.authorizer.name {
            Some(name) if name == "NONE" => None,
            Some(name) => Some(name),
            None if preflight => None,
            None => defaults.authorizer,
        };
        if let Some(name) = authorizer.as_ref().filter(|name| !known.authorizers.contains_key(*name)) {
            node.problem(format!("`{api}` has no authorizer `{name}`"));
        }
        let key = wanted.authorizer.api_key_required.unwrap_or(defaults.api_key_required && !preflight);
        Some(Route {
            method: wanted.method,
            path: wanted.path,
            target: wanted.target,
            authorizer,
            scopes: wanted.authorizer.scopes,
            api_key_required: key,
            timeout_ms: wanted.timeout_ms,
        })
    }

    /// Drops implicit APIs that nothing uses, and refuses routes whose protection would not be honoured.
    pub(super) fn finish_apis(&mut self) {
        let implicit = ["ServerlessRestApi", "ServerlessHttpApi"];
        self.app.apis.retain(|logical, api| !api.routes.is_empty() || !implicit.contains(&logical.as_str()));
        for logical in implicit {
            if !self.app.apis.contains_key(logical) {
                self.app.kinds.remove(logical);
            }
        }
        for (logical, api) in &self.app.apis {
            let kind = self.app.kinds.get(logical).cloned().unwrap_or_default();
            for reason in unprotected(api) {
                let refusal =
                    Refusal { resource: logical.clone(), kind: kind.clone(), property: Some("Auth".into()), reason };
                self.app.refused.push(refusal);
            }
        }
    }
}

/// Why requests to `api` would reach functions without the check that the template asks for.
fn unprotected(api: &Api) -> Vec<String> {
    let mut reasons = Vec::new();
    for route in &api.routes {
        let kind = route.authorizer.as_ref().and_then(|name| api.authorizers.get(name)).map(|found| &found.kind);
        let what = match kind {
            Some(AuthorizerKind::Iam) => "signed requests (AWS_IAM)",
            Some(AuthorizerKind::Cognito { .. }) => "Cognito user pools",
            Some(AuthorizerKind::Jwt { .. }) => "JWT authorizers",
            _ if route.api_key_required => "API keys",
            _ => continue,
        };
        reasons.push(format!("{} {}: {what} are not checked here; use a Lambda authorizer", route.method, route.path));
    }
    reasons
}

fn is_path(path: &str, kind: ApiKind) -> bool {
    if kind == ApiKind::WebSocket || path == "$default" {
        return kind != ApiKind::Rest && !path.is_empty() && path.len() <= ROUTE_PATH_BYTES_MAX;
    }
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let whole = |segment: &str| {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(segment);
        !inner.contains(['{', '}', '\0', '?', '#'])
    };
    let greedy_last = segments.iter().rev().skip(1).all(|segment| !segment.ends_with("+}"));
    path.starts_with('/')
        && path.len() <= ROUTE_PATH_BYTES_MAX
        && greedy_last
        && segments.iter().all(|part| whole(part))
}

/// `Cors` of a REST API: an origin, or a map. Values come in single quotes, as API Gateway's literals do.
fn rest_cors(node: &Node<'_>) -> Option<Cors> {
    if !node.is_map() {
        return Some(Cors { allow_origins: quoted_list(&node.text()?), ..Cors::default() });
    }
    let list =
        |key: &str| node.get(key).and_then(|value| value.text()).map(|text| quoted_list(&text)).unwrap_or_default();
    Some(Cors {
        allow_origins: list("AllowOrigin"),
        allow_methods: list("AllowMethods"),
        allow_headers: list("AllowHeaders"),
        expose_headers: Vec::new(),
        allow_credentials: node.get("AllowCredentials").is_some_and(|flag| flag.flag()),
        max_age_s: node.get("MaxAge").and_then(|age| age.text()).and_then(|age| unquoted(&age).parse().ok()),
    })
}

/// `CorsConfiguration` of an HTTP API: `true`, or a map.
pub(super) fn http_cors(node: &Node<'_>) -> Option<Cors> {
    if !node.is_map() {
        let all = || vec!["*".to_owned()];
        return node.flag().then(|| Cors { allow_origins: all(), ..Cors::default() });
    }
    // The OpenAPI extension writes the same names with a small letter.
    let get = |key: &str| node.get(key).or_else(|| node.get(&format!("{}{}", key[..1].to_lowercase(), &key[1..])));
    let list = |key: &str| get(key).map(|list| list.texts()).unwrap_or_default();
    Some(Cors {
        allow_origins: list("AllowOrigins"),
        allow_methods: list("AllowMethods"),
        allow_headers: list("AllowHeaders"),
        expose_headers: list("ExposeHeaders"),
        allow_credentials: get("AllowCredentials").is_some_and(|flag| flag.flag()),
        max_age_s: get("MaxAge").and_then(|age| age.number(0..=86_400)),
    })
}

fn gateway_response(node: &Node<'_>) -> GatewayResponse {
    let headers = node.path(&["ResponseParameters", "Headers"]).map(|headers| headers.text_map()).unwrap_or_default();
    GatewayResponse {
        status: status(node.get("StatusCode")),
        headers: headers.into_iter().map(|(name, value)| (name, unquoted(&value))).collect(),
        templates: node.get("ResponseTemplates").map(|templates| templates.text_map()).unwrap_or_default(),
    }
}

pub(super) fn status(node: Option<Node<'_>>) -> Option<u16> {
    node.and_then(|status| status.number(100..=599)).and_then(|status| u16::try_from(status).ok())
}

/// A literal without its single quotes.
pub(super) fn unquoted(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text).to_owned()
}

fn quoted_list(text: &str) -> Vec<String> {
    unquoted(text).split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}
