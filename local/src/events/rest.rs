//! The REST API proxy event (payload version 1), also sent by HTTP APIs that ask for version 1.0.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::date;
use super::request::{
    AllValues, ApiIdentity, AuthorizerContext, GatewayRequest, LastValues, Query, RouteRef, body_text, domain_name,
    domain_prefix, header, path_parameters,
};

/// Builds the event; `binary` says that the body's media type is one of the API's binary types.
pub fn rest_event(
    api: &ApiIdentity,
    request: &GatewayRequest,
    route: RouteRef<'_>,
    authorizer: Option<&AuthorizerContext>,
    binary: bool,
) -> Bytes {
    let query = Query::parse(request.query.as_deref());
    super::to_json(&ProxyEvent {
        version: None,
        body: body_text(&request.body, binary),
        is_base64_encoded: binary && !request.body.is_empty(),
        common: Common::new(api, request, route, &query, authorizer),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(flatten)]
    common: Common<'a>,
    body: Option<Cow<'a, str>>,
    is_base64_encoded: bool,
}

/// What proxy events and REQUEST authorizer events share.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Common<'a> {
    resource: &'a str,
    path: &'a str,
    http_method: &'a str,
    headers: LastValues<'a>,
    multi_value_headers: AllValues<'a>,
    query_string_parameters: Option<BTreeMap<&'a str, &'a str>>,
    multi_value_query_string_parameters: Option<&'a BTreeMap<String, Vec<String>>>,
    path_parameters: Option<BTreeMap<&'a str, Cow<'a, str>>>,
    stage_variables: Option<&'a BTreeMap<String, String>>,
    request_context: RequestContext<'a>,
}

impl<'a> Common<'a> {
    pub fn new(
        api: &'a ApiIdentity,
        request: &'a GatewayRequest,
        route: RouteRef<'a>,
        query: &'a Query,
        authorizer: Option<&AuthorizerContext>,
    ) -> Self {
        Self {
            resource: route.path,
            path: &request.path,
            http_method: request.method.as_str(),
            headers: LastValues(&request.headers),
            multi_value_headers: AllValues(&request.headers),
            query_string_parameters: query.last(),
            multi_value_query_string_parameters: query.all(),
            path_parameters: path_parameters(route.parameters),
            stage_variables: (!api.stage_variables.is_empty()).then_some(&api.stage_variables),
            request_context: RequestContext::new(api, request, route, authorizer),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestContext<'a> {
    account_id: &'a str,
    api_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorizer: Option<Map<String, Value>>,
    deployment_id: &'static str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    extended_request_id: &'a str,
    http_method: &'a str,
    identity: Identity<'a>,
    path: String,
    protocol: &'static str,
    request_id: &'a str,
    request_time: String,
    request_time_epoch: i64,
    resource_id: String,
    resource_path: &'a str,
    stage: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    access_key: Option<&'a str>,
    account_id: Option<&'a str>,
    api_key: Option<&'a str>,
    api_key_id: Option<&'a str>,
    caller: Option<&'a str>,
    cognito_authentication_provider: Option<&'a str>,
    cognito_authentication_type: Option<&'a str>,
    cognito_identity_id: Option<&'a str>,
    cognito_identity_pool_id: Option<&'a str>,
    principal_org_id: Option<&'a str>,
    source_ip: String,
    user: Option<&'a str>,
    user_agent: Option<&'a str>,
    user_arn: Option<&'a str>,
}

impl<'a> RequestContext<'a> {
    fn new(
        api: &'a ApiIdentity,
        request: &'a GatewayRequest,
        route: RouteRef<'a>,
        authorizer: Option<&AuthorizerContext>,
    ) -> Self {
        let stage = &api.stage;
        Self {
            account_id: &api.account_id,
            api_id: &api.api_id,
            authorizer: authorizer.map(|context| {
                let mut values = context.values.clone();
                values.insert("principalId".into(), Value::from(context.principal_id.as_str()));
                values.entry("integrationLatency").or_insert(Value::from(0));
                values
            }),
            deployment_id: "local",
            domain_name: domain_name(&request.host),
            domain_prefix: domain_prefix(&request.host),
            extended_request_id: &request.id,
            http_method: request.method.as_str(),
            identity: Identity {
                access_key: None,
                account_id: None,
                api_key: None,
                api_key_id: None,
                caller: None,
                cognito_authentication_provider: None,
                cognito_authentication_type: None,
                cognito_identity_id: None,
                cognito_identity_pool_id: None,
                principal_org_id: None,
                source_ip: request.source_ip.to_string(),
                user: None,
                user_agent: header(&request.headers, "user-agent"),
                user_arn: None,
            },
            path: if stage == "$default" { request.path.clone() } else { format!("/{stage}{}", request.path) },
            protocol: "HTTP/1.1",
            request_id: &request.id,
            request_time: date::common_log(request.at),
            request_time_epoch: request.at.0,
            resource_id: resource_id(route.path),
            resource_path: route.path,
            stage,
        }
    }
}

/// API Gateway gives every resource a short id; the same path has the same one here.
fn resource_id(path: &str) -> String {
    use std::hash::{Hash, Hasher};
    let mut hasher = std::hash::DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:06x}", hasher.finish() & 0xff_ffff)
}

/// The version 1.0 event of an HTTP API: as a REST API's, with its version named.
pub(super) fn http_api_event_v1(
    api: &ApiIdentity,
    request: &GatewayRequest,
    route: RouteRef<'_>,
    authorizer: Option<&AuthorizerContext>,
    binary: bool,
) -> Bytes {
    let query = Query::parse(request.query.as_deref());
    super::to_json(&ProxyEvent {
        version: Some("1.0"),
        body: body_text(&request.body, binary),
        is_base64_encoded: binary && !request.body.is_empty(),
        common: Common::new(api, request, route, &query, authorizer),
    })
}
