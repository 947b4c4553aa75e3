//! The HTTP API event, payload versions 2.0 and 1.0.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use sam::PayloadVersion;
use serde::Serialize;
use serde_json::{Value, json};

use super::date;
use super::request::{
    ApiIdentity, AuthorizerContext, GatewayRequest, JoinedValues, Query, RouteRef, body_text, cookies, domain_name,
    domain_prefix, header, path_parameters,
};

/// Builds the event of an HTTP API in the version that the integration asks for.
pub fn http_event(
    version: PayloadVersion,
    api: &ApiIdentity,
    request: &GatewayRequest,
    route: RouteRef<'_>,
    authorizer: Option<&AuthorizerContext>,
) -> Bytes {
    let binary = is_binary(header(&request.headers, "content-type"), &request.body);
    match version {
        PayloadVersion::V1 => super::rest::http_api_event_v1(api, request, route, authorizer, binary),
        PayloadVersion::V2 => {
            let query = Query::parse(request.query.as_deref());
            let mut event = CommonV2::new(api, request, route, &query, authorizer);
            event.body = body_text(&request.body, binary);
            event.is_base64_encoded = Some(binary && !request.body.is_empty());
            super::to_json(&event)
        }
    }
}

/// HTTP APIs pass text types as text and everything else in base64.
fn is_binary(content_type: Option<&str>, body: &[u8]) -> bool {
    let kind = content_type.unwrap_or("application/octet-stream").split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    let text = kind.starts_with("text/")
        || matches!(kind.as_str(), "application/json" | "application/javascript" | "application/xml")
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    !text || std::str::from_utf8(body).is_err()
}

/// What version 2.0 events and version 2.0 authorizer events share.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommonV2<'a> {
    version: &'static str,
    route_key: String,
    raw_path: String,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<Vec<String>>,
    headers: JoinedValues<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query_string_parameters: Option<BTreeMap<&'a str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_parameters: Option<BTreeMap<&'a str, Cow<'a, str>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stage_variables: Option<&'a BTreeMap<String, String>>,
    request_context: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_base64_encoded: Option<bool>,
}

impl<'a> CommonV2<'a> {
    pub fn new(
        api: &'a ApiIdentity,
        request: &'a GatewayRequest,
        route: RouteRef<'a>,
        query: &'a Query,
        authorizer: Option<&AuthorizerContext>,
    ) -> Self {
        let route_key =
            if route.path == "$default" { "$default".to_owned() } else { format!("{} {}", route.method, route.path) };
        let raw_path =
            if api.stage == "$default" { request.path.clone() } else { format!("/{}{}", api.stage, request.path) };
        let mut context = json!({
            "accountId": api.account_id,
            "apiId": api.api_id,
            "domainName": domain_name(&request.host),
            "domainPrefix": domain_prefix(&request.host),
            "http": {
                "method": request.method.as_str(),
                "path": raw_path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.source_ip.to_string(),
                "userAgent": header(&request.headers, "user-agent").unwrap_or_default(),
            },
            "requestId": request.id,
            "routeKey": route_key,
            "stage": api.stage,
            "time": date::common_log(request.at),
            "timeEpoch": request.at.0,
        });
        if let Some(authorizer) = authorizer {
            context["authorizer"] = json!({ "lambda": authorizer.values });
        }
        Self {
            version: "2.0",
            raw_query_string: request.query.as_deref().unwrap_or_default(),
            cookies: cookies(&request.headers),
            headers: JoinedValues(&request.headers),
            query_string_parameters: query.joined(),
            path_parameters: path_parameters(route.parameters),
            stage_variables: (!api.stage_variables.is_empty()).then_some(&api.stage_variables),
            request_context: context,
            body: None,
            is_base64_encoded: None,
            route_key,
            raw_path,
        }
    }
}
