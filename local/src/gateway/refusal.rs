//! What the gateway itself answers when it does not pass a request on ("Gateway responses", API Gateway developer
//! guide).

use std::collections::BTreeMap;

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};
use sam::{ApiKind, GatewayResponse};
use serde_json::json;

use crate::http::{Reply, empty, full};

/// The kinds of gateway responses that this gateway has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Unauthorized,
    AccessDenied,
    /// No such route: API Gateway's name for it is of another time.
    MissingRoute,
    TooLarge,
    Throttled,
    AuthorizerFailure,
    AuthorizerConfiguration,
    ApiConfiguration,
    /// The integration failed or answered with something that is no response.
    BadIntegration,
    IntegrationTimeout,
    /// The request's body did not come in time.
    SlowRequest,
    /// The request ended early.
    BadRequest,
}

impl Refusal {
    /// The response type, its default status, the error header and the default message.
    fn facts(self) -> (&'static str, u16, &'static str, &'static str) {
        match self {
            Self::Unauthorized => ("UNAUTHORIZED", 401, "UnauthorizedException", "Unauthorized"),
            Self::AccessDenied => (
                "ACCESS_DENIED",
                403,
                "AccessDeniedException",
                "User is not authorized to access this resource with an explicit deny",
            ),
            Self::MissingRoute => (
                "MISSING_AUTHENTICATION_TOKEN",
                403,
                "MissingAuthenticationTokenException",
                "Missing Authentication Token",
            ),
            Self::TooLarge => ("REQUEST_TOO_LARGE", 413, "RequestTooLargeException", "Request Too Long"),
            Self::Throttled => ("THROTTLED", 429, "TooManyRequestsException", "Too Many Requests"),
            Self::AuthorizerFailure => ("AUTHORIZER_FAILURE", 500, "AuthorizerConfigurationException", "null"),
            Self::AuthorizerConfiguration => {
                ("AUTHORIZER_CONFIGURATION_ERROR", 500, "AuthorizerConfigurationException", "Internal server error")
            }
            Self::ApiConfiguration => {
                ("API_CONFIGURATION_ERROR", 500, "InternalServerErrorException", "Internal server error")
            }
            Self::BadIntegration => {
                ("INTEGRATION_FAILURE", 502, "InternalServerErrorException", "Internal server error")
            }
            Self::IntegrationTimeout => {
                ("INTEGRATION_TIMEOUT", 504, "InternalServerErrorException", "Endpoint request timed out")
            }
            Self::SlowRequest => ("DEFAULT_4XX", 408, "RequestTimeoutException", "The request took too long"),
            Self::BadRequest => ("BAD_REQUEST_BODY", 400, "BadRequestException", "Invalid request body"),
        }
    }

    /// What an HTTP API says, which cannot be changed by a template.
    fn http_api(self) -> (u16, &'static str) {
        match self {
            Self::Unauthorized => (401, "Unauthorized"),
            Self::AccessDenied => (403, "Forbidden"),
            Self::MissingRoute => (404, "Not Found"),
            Self::TooLarge => (413, "Request Entity Too Large"),
            Self::Throttled => (429, "Too Many Requests"),
            Self::IntegrationTimeout => (503, "Service Unavailable"),
            Self::SlowRequest => (408, "Request Timeout"),
            Self::BadRequest => (400, "Bad Request"),
            Self::AuthorizerFailure | Self::AuthorizerConfiguration | Self::ApiConfiguration | Self::BadIntegration => {
                (500, "Internal Server Error")
            }
        }
    }
}

/// The gateway responses of one API.
#[derive(Clone, Debug)]
pub struct Refusals {
    kind: ApiKind,
    responses: BTreeMap<String, GatewayResponse>,
}

/// What a response template may tell of the request.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub request_id: &'a str,
    pub stage: &'a str,
    pub path: &'a str,
}

impl Refusals {
    pub fn new(api: &sam::Api) -> Self {
        Self { kind: api.kind, responses: api.gateway_responses.clone() }
    }

    pub fn answer(&self, refusal: Refusal, about: About<'_>) -> Reply {
        let mut reply = match self.kind {
            ApiKind::Http => {
                let (status, message) = refusal.http_api();
                json_reply(status, json!({ "message": message }).to_string())
            }
            ApiKind::Rest | ApiKind::WebSocket => self.rest(refusal, about),
        };
        if let Ok(id) = HeaderValue::from_str(about.request_id) {
            reply.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        reply
    }

    fn rest(&self, refusal: Refusal, about: About<'_>) -> Reply {
        let (kind, default_status, error, message) = refusal.facts();
        let fallback = if default_status < 500 { "DEFAULT_4XX" } else { "DEFAULT_5XX" };
        let custom = self.responses.get(kind).or_else(|| self.responses.get(fallback));
        let status = custom.and_then(|custom| custom.status).unwrap_or(default_status);
        let template = custom.and_then(|custom| {
            let templates = &custom.templates;
            templates.get_key_value("application/json").or_else(|| templates.iter().next())
        });
        let mut reply = match template {
            Some((media, template)) => {
                let mut reply = json_reply(status, expand(template, kind, message, about));
                if let Ok(media) = HeaderValue::from_str(media) {
                    reply.headers_mut().insert(CONTENT_TYPE, media);
                }
                reply
            }
            None => json_reply(status, json!({ "message": message }).to_string()),
        };
        let headers = reply.headers_mut();
        headers.insert(HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(error));
        for (name, value) in custom.into_iter().flat_map(|custom| &custom.headers) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        reply
    }
}

fn json_reply(status: u16, body: String) -> Reply {
    let mut reply = empty(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *reply.body_mut() = full(body);
    reply
}

/// Fills in the `$context` variables that gateway responses have.
fn expand(template: &str, kind: &str, message: &str, about: About<'_>) -> String {
    let quoted = json!(message).to_string();
    // A longer name before its own beginning.
    let values = [
        ("$context.error.messageString", quoted.as_str()),
        ("$context.error.message", message),
        ("$context.error.responseType", kind),
        ("$context.extendedRequestId", about.request_id),
        ("$context.requestId", about.request_id),
        ("$context.stage", about.stage),
        ("$context.path", about.path),
    ];
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'_> = About { request_id: "r-1", stage: "dev", path: "/x" };

    fn refusals(kind: ApiKind, responses: &[(&str, GatewayResponse)]) -> Refusals {
        Refusals { kind, responses: responses.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect() }
    }

    fn custom(status: Option<u16>, template: &str) -> GatewayResponse {
        GatewayResponse {
            status,
            headers: BTreeMap::from([("WWW-Authenticate".to_owned(), "Basic".to_owned())]),
            templates: BTreeMap::from([("application/json".to_owned(), template.to_owned())]),
        }
    }

    fn body(reply: Reply) -> String {
        match reply.into_body() {
            crate::http::ReplyBody::Full(bytes) => String::from_utf8(bytes.into()).unwrap(),
            crate::http::ReplyBody::Streamed(_) => panic!("a refusal is in memory"),
        }
    }

    #[test]
    fn defaults_are_api_gateways() {
        let reply = refusals(ApiKind::Rest, &[]).answer(Refusal::MissingRoute, ABOUT);
        assert_eq!(
            (reply.status().as_u16(), body(reply).as_str()),
            (403, r#"{"message":"Missing Authentication Token"}"#)
        );
        let reply = refusals(ApiKind::Http, &[]).answer(Refusal::MissingRoute, ABOUT);
        assert_eq!((reply.status().as_u16(), body(reply).as_str()), (404, r#"{"message":"Not Found"}"#));
    }

    #[test]
    fn a_template_replaces_status_headers_and_body() {
        let set = refusals(
            ApiKind::Rest,
            &[("UNAUTHORIZED", custom(Some(418), r#"{"id":"$context.requestId","why":$context.error.messageString}"#))],
        );
        let reply = set.answer(Refusal::Unauthorized, ABOUT);
        assert_eq!(reply.status(), 418);
        assert_eq!(reply.headers()["www-authenticate"], "Basic");
        assert_eq!(reply.headers()["x-amzn-requestid"], "r-1");
        assert_eq!(body(reply), r#"{"id":"r-1","why":"Unauthorized"}"#);
    }

    #[test]
    fn the_default_of_the_class_stands_in_and_keeps_the_status() {
        let set = refusals(ApiKind::Rest, &[("DEFAULT_5XX", custom(None, "$context.error.responseType"))]);
        let reply = set.answer(Refusal::BadIntegration, ABOUT);
        assert_eq!((reply.status().as_u16(), body(reply).as_str()), (502, "INTEGRATION_FAILURE"));
        assert_eq!(set.answer(Refusal::TooLarge, ABOUT).status(), 413);
    }
}
