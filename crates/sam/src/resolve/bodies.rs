//! Routes from an OpenAPI definition with API Gateway's extensions.

use super::api::{Wanted, WantedAuthorizer, http_cors, media_type, method, status, unquoted};
use super::authorizers::{REST_TTL_S, TTL_S_MAX, authorizer, payload};
use super::{Building, Reading};
use crate::node::Node;
use crate::{
    ApiKind, Authorizer, AuthorizerKind, GatewayResponse, IntegrationResponse, MockIntegration, PayloadVersion,
    S3Integration, Target,
};

impl<'a> Building<'a> {
    pub(super) fn definition(&mut self, reading: &Reading<'a>) {
        let properties = &reading.properties;
        for property in ["DefinitionUri", "BodyS3Location"] {
            if let Some(node) = properties.get(property) {
                let local = !node.is_map() && node.text().is_some_and(|path| !path.contains("://"));
                match local {
                    true => node.problem("the file is not put into the template"),
                    false => self.refuse(reading, Some(property), "a definition comes from a file of the repository"),
                }
            }
        }
        let Some(body) = properties.get("DefinitionBody").or_else(|| properties.get("Body")) else { return };
        let merged = properties.get("MergeDefinitions").is_some_and(|flag| flag.flag());
        let rest = reading.kind != "AWS::Serverless::HttpApi";
        self.api_defaults.entry(reading.logical.to_owned()).or_default().only_definition = rest && !merged;
        self.definition_settings(reading, &body);
        let Some(paths) = body.get("paths") else {
            body.problem("a definition has `paths`");
            return;
        };
        for (path, item) in paths.entries() {
            for (name, operation) in item.entries() {
                let known = matches!(name, "get" | "put" | "post" | "delete" | "options" | "head" | "patch" | "trace");
                if known || name == "x-amazon-apigateway-any-method" {
                    self.operation(reading, &body, (path, name), &operation);
                }
            }
        }
    }

    fn definition_settings(&mut self, reading: &Reading<'a>, body: &Node<'a>) {
        let schemes = body.path(&["components", "securitySchemes"]).or_else(|| body.get("securityDefinitions"));
        let mut authorizers = Vec::new();
        for (name, scheme) in schemes.iter().flat_map(Node::entries) {
            authorizers.extend(self.scheme(&scheme).map(|found| (name.to_owned(), found)));
        }
        let Some(api) = self.app.apis.get_mut(reading.logical) else { return };
        api.authorizers.extend(authorizers);
        if let Some(types) = body.get("x-amazon-apigateway-binary-media-types") {
            api.binary_media_types.extend(types.texts().iter().map(|kind| media_type(kind)));
        }
        if let Some(size) = body.get("x-amazon-apigateway-minimum-compression-size") {
            api.minimum_compression_bytes = size.number(0..=10_485_760).map(u64::from);
        }
        if let Some(cors) = body.get("x-amazon-apigateway-cors") {
            api.cors = http_cors(&cors);
        }
        for (kind, response) in body.get("x-amazon-apigateway-gateway-responses").iter().flat_map(Node::entries) {
            let parameters = response.get("responseParameters").map(|all| all.text_map()).unwrap_or_default();
            let headers = parameters.iter().filter_map(|(name, value)| {
                Some((name.strip_prefix("gatewayresponse.header.")?.to_owned(), unquoted(value)))
            });
            let response = GatewayResponse {
                status: status(response.get("statusCode")),
                headers: headers.collect(),
                templates: response.get("responseTemplates").map(|all| all.text_map()).unwrap_or_default(),
            };
            api.gateway_responses.insert(kind.to_owned(), response);
        }
    }

    /// A security scheme with `x-amazon-apigateway-authorizer`, or signed requests.
    fn scheme(&mut self, scheme: &Node<'a>) -> Option<Authorizer> {
        let kind_of_auth = scheme.get("x-amazon-apigateway-authtype").and_then(|kind| kind.text());
        let Some(node) = scheme.get("x-amazon-apigateway-authorizer") else {
            let signed = kind_of_auth.as_deref() == Some("awsSigv4");
            return signed.then(|| authorizer(AuthorizerKind::Iam, None));
        };
        let text = |key: &str| node.get(key).and_then(|value| value.text());
        let name = scheme.get("name").and_then(|name| name.text()).unwrap_or_else(|| "Authorization".into());
        let function = node.get("authorizerUri").and_then(|uri| self.function_of(&uri));
        let (kind, identity_sources) = match text("type").unwrap_or_default().to_ascii_lowercase().as_str() {
            "request" => {
                let sources = node.get("identitySource").map(|sources| sources.texts()).unwrap_or_default();
                (AuthorizerKind::Request, sources)
            }
            "token" => (AuthorizerKind::Token, vec![format!("method.request.header.{name}")]),
            "jwt" => {
                let jwt = node.get("jwtConfiguration");
                let issuer = jwt.as_ref().and_then(|jwt| jwt.get("issuer")).and_then(|issuer| issuer.text());
                let audience = jwt.and_then(|jwt| jwt.get("audience")).map(|all| all.texts()).unwrap_or_default();
                (AuthorizerKind::Jwt { issuer: issuer.unwrap_or_default(), audience }, Vec::new())
            }
            _ => {
                let pools = node.get("providerARNs").map(|pools| pools.texts()).unwrap_or_default();
                return Some(authorizer(AuthorizerKind::Cognito { pools }, None));
            }
        };
        if function.is_none() && !matches!(kind, AuthorizerKind::Jwt { .. }) {
            node.problem("the authorizer's function is not one of this template");
        }
        let version = text("authorizerPayloadFormatVersion");
        let default_ttl = if version.is_some() { 0 } else { REST_TTL_S };
        let ttl = node.get("authorizerResultTtlInSeconds").and_then(|ttl| ttl.number(0..=TTL_S_MAX));
        Some(Authorizer {
            identity_sources,
            ttl_s: ttl.unwrap_or(default_ttl),
            validation: text("identityValidationExpression"),
            payload: payload(version.as_deref(), PayloadVersion::V1),
            simple_responses: node.get("enableSimpleResponses").is_some_and(|flag| flag.flag()),
            ..authorizer(kind, function)
        })
    }

    fn operation(&mut self, reading: &Reading<'a>, body: &Node<'a>, at: (&str, &str), operation: &Node<'a>) {
        let (path, name) = at;
        let property = || format!("DefinitionBody.paths.{path}.{name}");
        let Some(integration) = operation.get("x-amazon-apigateway-integration") else {
            self.unsupported(reading, Some(&property()), "the operation has no integration");
            return;
        };
        let target = match self.target(reading, &integration) {
            Ok(target) => target,
            Err(reason) => {
                self.unsupported(reading, Some(&property()), reason);
                return;
            }
        };
        let path = if path == "/$default" { "$default" } else { path };
        let wanted = Wanted {
            method: method(name),
            path: path.to_owned(),
            target,
            authorizer: self.security(reading, body, operation),
            timeout_ms: integration.get("timeoutInMillis").and_then(|node| node.number(50..=900_000)),
        };
        if let Some(route) = self.route(reading.logical, operation, wanted)
            && let Some(api) = self.app.apis.get_mut(reading.logical)
        {
            api.routes.push(route);
        }
    }

    /// `security` of the operation, else of the definition. A scheme without an authorizer is an API key. As in SAM, an
    /// empty list still gets the API's default authorizer; only `NONE: []` does not.
    fn security(&self, reading: &Reading<'a>, body: &Node<'a>, operation: &Node<'a>) -> WantedAuthorizer {
        let mut wanted = WantedAuthorizer::default();
        let Some(security) = operation.get("security").or_else(|| body.get("security")) else { return wanted };
        let known = self.app.apis.get(reading.logical).map(|api| &api.authorizers);
        for (name, scopes) in security.items().iter().flat_map(Node::entries) {
            if name == "NONE" || known.is_some_and(|known| known.contains_key(name)) {
                wanted.name = Some(name.to_owned());
                wanted.scopes = scopes.texts();
            } else {
                wanted.api_key_required = Some(true);
            }
        }
        wanted
    }

    fn target(&mut self, reading: &Reading<'a>, integration: &Node<'a>) -> Result<Target, &'static str> {
        let text = |key: &str| integration.get(key).and_then(|value| value.text());
        let kind = text("type").unwrap_or_default().to_ascii_lowercase();
        match kind.as_str() {
            "aws_proxy" if integration.get("integrationSubtype").is_some() => Err("service integrations are not run"),
            "aws_proxy" => {
                let function = integration.get("uri").and_then(|uri| self.function_of(&uri));
                let function = function.ok_or("the function is not one of this template")?;
                let http = self.app.apis.get(reading.logical).is_some_and(|api| api.kind == ApiKind::Http);
                let version = text("payloadFormatVersion").filter(|_| http);
                let streamed = text("responseTransferMode").as_deref() == Some("STREAM");
                let payload = payload(version.as_deref(), PayloadVersion::V1);
                Ok(Target::Function { function, payload, streamed })
            }
            "aws" => s3(integration).ok_or("only S3 is reached by an `aws` integration"),
            "mock" => Ok(Target::Mock(MockIntegration {
                request_templates: integration.get("requestTemplates").map(|all| all.text_map()).unwrap_or_default(),
                responses: responses(integration),
            })),
            "http_proxy" => Ok(Target::Http {
                url: text("uri").ok_or("an `http_proxy` integration has a `uri`")?,
                method: method(&text("httpMethod").unwrap_or_else(|| "ANY".into())),
            }),
            _ => Err("integrations of this type are not run"),
        }
    }
}

/// `arn:aws:apigateway:{region}:s3:path/{bucket}/{key}`.
fn s3(integration: &Node<'_>) -> Option<Target> {
    let uri = integration.get("uri")?.text()?;
    let (_, path) = uri.split_once(":s3:path/")?;
    let (bucket, key) = path.split_once('/')?;
    let parameters = integration.get("requestParameters").map(|all| all.text_map()).unwrap_or_default();
    Some(Target::S3(S3Integration {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        method: integration
            .get("httpMethod")
            .and_then(|name| name.text())
            .map_or_else(|| "GET".into(), |raw| method(&raw)),
        request_parameters: parameters,
        responses: responses(integration),
    }))
}

fn responses(integration: &Node<'_>) -> Vec<IntegrationResponse> {
    let responses = integration.get("responses");
    let entries = responses.iter().flat_map(Node::entries);
    let responses = entries.map(|(pattern, response)| IntegrationResponse {
        pattern: pattern.to_owned(),
        status: status(response.get("statusCode")).unwrap_or(200),
        parameters: response.get("responseParameters").map(|all| all.text_map()).unwrap_or_default(),
        templates: response.get("responseTemplates").map(|all| all.text_map()).unwrap_or_default(),
    });
    responses.collect()
}
