//! WebSocket and HTTP APIs written as plain API Gateway V2 resources, and `AWS::Serverless::WebSocketApi`.

use super::api::{Wanted, WantedAuthorizer, http_cors, method, new_api, status, unquoted};
use super::authorizers::{TTL_S_MAX, authorizer, payload};
use super::{Building, Reading};
use crate::node::Node;
use crate::{ApiKind, Authorizer, AuthorizerKind, GatewayResponse, PayloadVersion, Target, Trigger};

/// How a WebSocket message finds its route when nothing is said.
const ROUTE_SELECTION: &str = "$request.body.action";

impl<'a> Building<'a> {
    pub(super) fn web_socket_api(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let mut api = new_api(reading, ApiKind::WebSocket, "default");
        let selection = properties.get("RouteSelectionExpression").and_then(|node| node.text());
        api.route_selection = Some(selection.unwrap_or_else(|| ROUTE_SELECTION.into()));
        if let Some(auth) = properties.get("Auth") {
            let kind = auth.get("AuthType").and_then(|kind| kind.text());
            let function = auth.get("AuthArn").and_then(|arn| self.function_of(&arn).or_else(|| arn.resource()));
            let found = match kind.as_deref() {
                Some("AWS_IAM") => Some(authorizer(AuthorizerKind::Iam, None)),
                Some("CUSTOM") => Some(Authorizer {
                    identity_sources: auth.get("IdentitySource").map(|all| all.texts()).unwrap_or_default(),
                    ..authorizer(AuthorizerKind::Request, function)
                }),
                _ => None,
            };
            api.authorizers.extend(found.map(|found| ("$connect".to_owned(), found)));
        }
        self.note_others(
            reading,
            &["Name", "StageName", "RouteSelectionExpression", "Routes", "Auth", "DisableSchemaValidation"],
        );
        self.app.apis.insert(api.logical_id.clone(), api);
    }

    /// The routes of an `AWS::Serverless::WebSocketApi`.
    pub(super) fn web_socket_routes(&mut self, reading: &Reading<'a>) {
        let protected = self.app.apis.get(reading.logical).is_some_and(|api| api.authorizers.contains_key("$connect"));
        for (key, node) in reading.properties.get("Routes").iter().flat_map(Node::entries) {
            let Some(function) = node.get("FunctionArn").and_then(|arn| self.function_of(&arn)) else {
                node.problem("the function is not one of this template");
                continue;
            };
            let name = (protected && key == "$connect").then(|| "$connect".to_owned());
            let authorizer = WantedAuthorizer { name, ..WantedAuthorizer::default() };
            let timeout_ms = node.get("IntegrationTimeout").and_then(|node| node.number(50..=29_000));
            self.socket_route(reading.logical, key, &node, function, authorizer, timeout_ms);
        }
    }

    fn socket_route(
        &mut self,
        api: &str,
        key: &str,
        node: &Node<'a>,
        function: String,
        authorizer: WantedAuthorizer,
        timeout_ms: Option<u32>,
    ) {
        let target = Target::Function { function: function.clone(), payload: PayloadVersion::V1, streamed: false };
        let wanted = Wanted { method: String::new(), path: key.to_owned(), target, authorizer, timeout_ms };
        if self.add_route(api, node, wanted).is_some() {
            let trigger = Trigger::WebSocket { api: api.to_owned(), route: key.to_owned() };
            self.add_event(&function, key, Some(trigger));
        }
    }

    pub(super) fn gateway_v2_api(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let socket = properties.get("ProtocolType").and_then(|kind| kind.text()).as_deref() == Some("WEBSOCKET");
        let kind = if socket { ApiKind::WebSocket } else { ApiKind::Http };
        let mut api = new_api(reading, kind, "$default");
        let selection = properties.get("RouteSelectionExpression").and_then(|node| node.text());
        api.route_selection = socket.then(|| selection.unwrap_or_else(|| ROUTE_SELECTION.into()));
        api.cors = properties.get("CorsConfiguration").and_then(|cors| http_cors(&cors));
        api.authorizers.insert("AWS_IAM".into(), authorizer(AuthorizerKind::Iam, None));
        self.note_others(
            reading,
            &[
                "Name",
                "ProtocolType",
                "RouteSelectionExpression",
                "CorsConfiguration",
                "Body",
                "DisableSchemaValidation",
                "DisableExecuteApiEndpoint",
            ],
        );
        self.app.apis.insert(api.logical_id.clone(), api);
    }

    /// Stages, authorizers and routes; an integration is read through its route.
    pub(super) fn gateway_v2_part(&mut self, reading: &Reading<'a>) {
        let Some(api) = reading.properties.get("ApiId").and_then(|id| id.resource()) else {
            self.unsupported(reading, Some("ApiId"), "the API is not one of this template");
            return;
        };
        match reading.kind {
            "AWS::ApiGatewayV2::Stage" => {
                let name = reading.properties.get("StageName").and_then(|name| name.text());
                let variables = reading.properties.get("StageVariables").map(|all| all.text_map());
                if let (Some(api), Some(name)) = (self.app.apis.get_mut(&api), name) {
                    api.stage = name;
                    api.stage_variables = variables.unwrap_or_default();
                }
            }
            "AWS::ApiGatewayV2::Authorizer" => {
                let found = self.gateway_v2_authorizer(reading);
                if let Some(api) = self.app.apis.get_mut(&api) {
                    api.authorizers.insert(reading.logical.to_owned(), found);
                }
            }
            _ => {}
        }
    }

    fn gateway_v2_authorizer(&mut self, reading: &Reading<'a>) -> Authorizer {
        let properties = &reading.properties;
        if let Some(jwt) = properties.get("JwtConfiguration") {
            let issuer = jwt.get("Issuer").and_then(|issuer| issuer.text()).unwrap_or_default();
            let audience = jwt.get("Audience").map(|audience| audience.texts()).unwrap_or_default();
            return authorizer(AuthorizerKind::Jwt { issuer, audience }, None);
        }
        let function = properties.get("AuthorizerUri").and_then(|uri| self.function_of(&uri));
        if function.is_none() {
            properties.problem("the authorizer's function is not one of this template");
        }
        let version = properties.get("AuthorizerPayloadFormatVersion").and_then(|version| version.text());
        let ttl = properties.get("AuthorizerResultTtlInSeconds").and_then(|ttl| ttl.number(0..=TTL_S_MAX));
        Authorizer {
            identity_sources: properties.get("IdentitySource").map(|all| all.texts()).unwrap_or_default(),
            ttl_s: ttl.unwrap_or(0),
            payload: payload(version.as_deref(), PayloadVersion::V1),
            simple_responses: properties.get("EnableSimpleResponses").is_some_and(|flag| flag.flag()),
            ..authorizer(AuthorizerKind::Request, function)
        }
    }

    /// `AWS::ApiGatewayV2::Route` with its integration.
    pub(super) fn gateway_v2_route(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let Some(api) = properties.get("ApiId").and_then(|id| id.resource()) else { return };
        let Some(key) = properties.get("RouteKey").and_then(|key| key.text()) else {
            properties.problem("a route has a `RouteKey`");
            return;
        };
        let integration = properties.get("Target").and_then(|target| target.resource());
        let declared = integration.as_ref().and_then(|logical| self.scope.declared.get(logical));
        let at = format!("/Resources/{}/Properties", integration.as_deref().unwrap_or_default());
        let integration = declared.and_then(|declared| Node::new(self.scope, declared.properties, at));
        let uri = integration.as_ref().and_then(|node| node.get("IntegrationUri"));
        let Some(function) = uri.and_then(|uri| self.function_of(&uri)) else {
            self.unsupported(reading, Some("Target"), "only functions of this template are called");
            return;
        };
        let get = |key: &str| integration.as_ref().and_then(|node| node.get(key));
        let timeout_ms = get("TimeoutInMillis").and_then(|node| node.number(50..=30_000));
        let authorizer = WantedAuthorizer {
            name: match properties.get("AuthorizationType").and_then(|kind| kind.text()).as_deref() {
                Some("CUSTOM" | "JWT") => properties.get("AuthorizerId").and_then(|id| id.resource()),
                Some("AWS_IAM") => Some("AWS_IAM".into()),
                _ => None,
            },
            scopes: properties.get("AuthorizationScopes").map(|scopes| scopes.texts()).unwrap_or_default(),
            api_key_required: properties.get("ApiKeyRequired").map(|flag| flag.flag()),
        };
        if self.app.apis.get(&api).is_some_and(|api| api.kind == ApiKind::WebSocket) {
            self.socket_route(&api, &key, properties, function, authorizer, timeout_ms);
            return;
        }
        let version = get("PayloadFormatVersion").and_then(|version| version.text());
        let payload = payload(version.as_deref(), PayloadVersion::V1);
        let (verb, path) = key.split_once(' ').unwrap_or(("ANY", "$default"));
        let (verb, path) = (method(verb), path.to_owned());
        let target = Target::Function { function: function.clone(), payload, streamed: false };
        let wanted = Wanted { method: verb.clone(), path: path.clone(), target, authorizer, timeout_ms };
        if let Some(authorizer) = self.add_route(&api, properties, wanted) {
            let trigger = Trigger::HttpApi { api, method: verb, path, payload, authorizer };
            self.add_event(&function, reading.logical, Some(trigger));
        }
    }

    /// `AWS::ApiGateway::Stage`, `Deployment` and `GatewayResponse`.
    pub(super) fn rest_part(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        let Some(api) = properties.get("RestApiId").and_then(|id| id.resource()) else {
            self.unsupported(reading, Some("RestApiId"), "the API is not one of this template");
            return;
        };
        let text = |key: &str| properties.get(key).and_then(|node| node.text());
        let Some(api) = self.app.apis.get_mut(&api) else { return };
        if reading.kind == "AWS::ApiGateway::GatewayResponse" {
            let parameters = properties.get("ResponseParameters").map(|all| all.text_map()).unwrap_or_default();
            let headers = parameters.iter().filter_map(|(name, value)| {
                Some((name.strip_prefix("gatewayresponse.header.")?.to_owned(), unquoted(value)))
            });
            let response = GatewayResponse {
                status: status(properties.get("StatusCode")),
                headers: headers.collect(),
                templates: properties.get("ResponseTemplates").map(|all| all.text_map()).unwrap_or_default(),
            };
            api.gateway_responses.insert(text("ResponseType").unwrap_or_default(), response);
        } else if let Some(stage) = text("StageName") {
            api.stage = stage;
            api.stage_variables.extend(properties.get("Variables").map(|all| all.text_map()).unwrap_or_default());
        }
    }
}
