//! APIs: routes, what they reach, who may call them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The shape of the event that a route sends (`PayloadFormatVersion`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadVersion {
    #[serde(rename = "1.0")]
    V1,
    #[serde(rename = "2.0")]
    V2,
}

/// Which of the three kinds of API Gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKind {
    /// API Gateway REST API: proxy events v1.
    Rest,
    /// API Gateway HTTP API.
    Http,
    WebSocket,
}

/// An API with everything that belongs to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Api {
    pub logical_id: String,
    pub kind: ApiKind,
    pub name: Option<String>,
    /// `Prod` for the implicit REST API, `$default` for an HTTP API.
    pub stage: String,
    pub stage_variables: BTreeMap<String, String>,
    pub routes: Vec<Route>,
    pub cors: Option<Cors>,
    /// By the name that routes use.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// Media types that pass as bytes, `*/*` style (`image~1png` is written `image/png`).
    pub binary_media_types: Vec<String>,
    /// By response type (`UNAUTHORIZED`, `DEFAULT_4XX`, …).
    pub gateway_responses: BTreeMap<String, GatewayResponse>,
    /// Responses of at least so many bytes are compressed, when set.
    pub minimum_compression_bytes: Option<u64>,
    /// WebSocket: `$request.body.action` or another expression.
    pub route_selection: Option<String>,
}

/// What happens with one method and path (for WebSocket: `path` is the route key, `method` is empty).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Upper case; `ANY` for every method.
    pub method: String,
    /// `/a/{b}/{proxy+}`; `$default` for the route that takes what no other does.
    pub path: String,
    pub target: Target,
    /// A key of `Api::authorizers`.
    pub authorizer: Option<String>,
    pub scopes: Vec<String>,
    pub api_key_required: bool,
    /// The integration's own time limit in milliseconds, when set.
    pub timeout_ms: Option<u32>,
}

/// What a route reaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Function {
        /// The function's logical id.
        function: String,
        payload: PayloadVersion,
        /// The answer is sent on as it comes (`ResponseTransferMode`).
        streamed: bool,
    },
    /// An `aws` integration with S3.
    S3(S3Integration),
    /// A `mock` integration.
    Mock(MockIntegration),
    /// `http_proxy` to a fixed address.
    Http { url: String, method: String },
}

/// An `aws` integration with one object of a bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct S3Integration {
    /// The bucket's physical name.
    pub bucket: String,
    /// The object's key with `{name}` for integration path parameters: `static/{proxy}`.
    pub key: String,
    /// `GET`, `HEAD`, …
    pub method: String,
    /// `integration.request.path.proxy` -> `method.request.path.proxy`, as written.
    pub request_parameters: BTreeMap<String, String>,
    pub responses: Vec<IntegrationResponse>,
}

/// An integration that answers by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MockIntegration {
    pub request_templates: BTreeMap<String, String>,
    pub responses: Vec<IntegrationResponse>,
}

/// How an answer of the backend becomes the answer of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegrationResponse {
    /// The regular expression over the backend's status (`default`, `404`, `4\\d{2}`).
    pub pattern: String,
    pub status: u16,
    /// `method.response.header.Content-Type` -> `integration.response.header.Content-Type` or `'literal'`.
    pub parameters: BTreeMap<String, String>,
    /// By media type.
    pub templates: BTreeMap<String, String>,
}

/// Cross-origin rules. For a REST API the values are unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    pub allow_origins: Vec<String>,
    pub allow_methods: Vec<String>,
    pub allow_headers: Vec<String>,
    pub expose_headers: Vec<String>,
    pub allow_credentials: bool,
    pub max_age_s: Option<u32>,
}

/// Who is asked whether a caller may pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Authorizer {
    pub kind: AuthorizerKind,
    /// The function's logical id, for `Request` and `Token`.
    pub function: Option<String>,
    /// `method.request.header.Authorization`, `$request.header.Authorization`, … as API Gateway names them.
    pub identity_sources: Vec<String>,
    /// Seconds a result is kept; 0 for not at all.
    pub ttl_s: u32,
    /// A `Token` authorizer's regular expression for the token.
    pub validation: Option<String>,
    /// HTTP API only.
    pub payload: PayloadVersion,
    /// HTTP API only: `{"isAuthorized": true}` instead of a policy.
    pub simple_responses: bool,
}

/// How an authorizer decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizerKind {
    Request,
    Token,
    Jwt { issuer: String, audience: Vec<String> },
    Cognito { pools: Vec<String> },
    Iam,
}

/// What the gateway answers itself, for one response type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayResponse {
    pub status: Option<u16>,
    /// `WWW-Authenticate` -> value, unquoted (`ResponseParameters.Headers`).
    pub headers: BTreeMap<String, String>,
    /// By media type; `$context.…` variables are left in.
    pub templates: BTreeMap<String, String>,
}
