//! The resolved form of a template: what a system is made of, with every value filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One system, resolved for one environment. Maps are keyed by logical id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct App {
    pub functions: BTreeMap<String, Function>,
    pub layers: BTreeMap<String, Layer>,
    pub apis: BTreeMap<String, Api>,
    pub queues: BTreeMap<String, QueueResource>,
    pub buckets: BTreeMap<String, Bucket>,
    pub tables: BTreeMap<String, Table>,
    pub topics: BTreeMap<String, Topic>,
    pub log_groups: BTreeMap<String, LogGroup>,
    pub parameters: BTreeMap<String, SsmParameter>,
    pub outputs: BTreeMap<String, String>,
    /// The type of every resource that is kept (condition true), implicit APIs included.
    pub kinds: BTreeMap<String, String>,
    /// What is not honoured, although the system can run without it.
    pub unsupported: Vec<Unsupported>,
    /// What must keep the template from being deployed at all.
    pub refused: Vec<Refusal>,
}

/// A part of the template that this implementation does not honour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    pub resource: String,
    pub kind: String,
    /// The property within it; the whole resource when `None`.
    pub property: Option<String>,
    pub reason: String,
}

/// A reason why a template is not deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    pub resource: String,
    pub kind: String,
    pub property: Option<String>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub logical_id: String,
    /// `FunctionName`, when the template gives one.
    pub name: Option<String>,
    /// Empty for an image.
    pub runtime: String,
    pub handler: String,
    pub code: Code,
    pub description: Option<String>,
    /// Default 128.
    pub memory_mb: u32,
    /// Default 3.
    pub timeout_s: u32,
    /// `EphemeralStorage.Size` in MB; default 512.
    pub ephemeral_storage_mb: u32,
    pub reserved_concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    /// Default `["x86_64"]`.
    pub architectures: Vec<String>,
    pub layers: Vec<LayerReference>,
    pub events: Vec<Event>,
    pub build: BuildMetadata,
    /// `AutoPublishAlias`.
    pub alias: Option<String>,
    /// `Policies` as written, with values filled in; `Null` when absent.
    pub policies: Value,
    /// `LoggingConfig.LogGroup`; the default is `/aws/lambda/{physical name}`.
    pub log_group: Option<String>,
    /// The ARN of `DeadLetterQueue` or of `EventInvokeConfig…OnFailure`, when there is one.
    pub dead_letter_target: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A folder or archive, relative to the template, as written (`CodeUri`).
    Path(String),
    /// `InlineCode`.
    Inline(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerReference {
    /// A layer of the same template.
    Logical(String),
    /// A published layer version.
    Arn(String),
}

/// The `Metadata` of a function or layer that tells `sam build` what to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildMetadata {
    /// `BuildMethod`: `makefile`, `esbuild`, `rust-cargolambda`, or a runtime for layers.
    pub method: Option<String>,
    /// `BuildProperties`; `Null` when absent.
    pub properties: Value,
    /// `SkipBuild: true`: the folder is the package.
    pub skip: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub logical_id: String,
    pub name: Option<String>,
    pub content: Code,
    pub compatible_runtimes: Vec<String>,
    pub build: BuildMetadata,
}

/// An entry of a function's `Events`, or what stands for one (event source mapping, permission).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub name: String,
    pub trigger: Trigger,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The route itself is in `App::apis[api].routes`.
    Api {
        api: String,
        method: String,
        path: String,
        authorizer: Option<String>,
    },
    /// The route itself is in `App::apis[api].routes`.
    HttpApi {
        api: String,
        method: String,
        path: String,
        payload: PayloadVersion,
        authorizer: Option<String>,
    },
    WebSocket {
        api: String,
        route: String,
    },
    Sqs {
        queue: QueueReference,
        batch_size: u32,
        window_s: u32,
        enabled: bool,
        report_batch_item_failures: bool,
    },
    Schedule {
        expression: String,
        input: Option<Value>,
        enabled: bool,
        name: Option<String>,
        timezone: Option<String>,
    },
    S3 {
        bucket: String,
        events: Vec<String>,
        prefix: Option<String>,
        suffix: Option<String>,
    },
    Stream(StreamTrigger),
}

/// A DynamoDB stream source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamTrigger {
    /// The table's logical id.
    pub table: String,
    /// The decoded `Pattern` of each filter of `FilterCriteria`; empty when there is none.
    pub filters: Vec<Value>,
    /// Default 100.
    pub batch_size: u32,
    pub window_s: u32,
    /// `LATEST` or `TRIM_HORIZON`.
    pub starting_position: String,
    pub report_batch_item_failures: bool,
    pub bisect_batch_on_error: bool,
    /// -1 for as long as the record lives.
    pub maximum_retry_attempts: i32,
    pub enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueReference {
    Logical(String),
    Arn(String),
}

/// The shape of the event that a route sends (`PayloadFormatVersion`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PayloadVersion {
    #[serde(rename = "1.0")]
    V1,
    #[serde(rename = "2.0")]
    V2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiKind {
    /// API Gateway REST API: proxy events v1.
    Rest,
    /// API Gateway HTTP API.
    Http,
    WebSocket,
}

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    Function {
        /// The function's logical id.
        function: String,
        payload: PayloadVersion,
        /// `ResponseTransferMode: STREAM`.
        streamed: bool,
    },
    /// An `aws` integration with S3.
    S3(S3Integration),
    /// A `mock` integration.
    Mock(MockIntegration),
    /// `http_proxy` to a fixed address.
    Http { url: String, method: String },
}

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MockIntegration {
    pub request_templates: BTreeMap<String, String>,
    pub responses: Vec<IntegrationResponse>,
}

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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizerKind {
    Request,
    Token,
    Jwt { issuer: String, audience: Vec<String> },
    Cognito { pools: Vec<String> },
    Iam,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayResponse {
    pub status: Option<u16>,
    /// `WWW-Authenticate` -> value, unquoted (`ResponseParameters.Headers`).
    pub headers: BTreeMap<String, String>,
    /// By media type; `$context.…` variables are left in.
    pub templates: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueResource {
    pub logical_id: String,
    pub name: Option<String>,
    pub fifo: bool,
    /// Default 30.
    pub visibility_timeout_s: u32,
    /// Default 0.
    pub delay_s: u32,
    /// Default 345,600.
    pub retention_s: u32,
    pub redrive: Option<Redrive>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub dead_letters: QueueReference,
    pub max_receive_count: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub logical_id: String,
    pub name: Option<String>,
    pub website: Option<Website>,
    /// `CorsConfiguration.CorsRules` as written, filled in.
    pub cors: Vec<Value>,
    pub versioned: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Website {
    /// `index.html`, mostly.
    pub index: String,
    /// The key shown for 4xx.
    pub error: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub logical_id: String,
    pub name: Option<String>,
    /// The properties in the form of `AWS::DynamoDB::Table` (a SimpleTable is translated), filled in.
    pub definition: Value,
    /// `StreamViewType`, when the table has a stream.
    pub stream_view: Option<String>,
    /// `TimeToLiveSpecification.AttributeName`, when enabled.
    pub ttl_attribute: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    pub logical_id: String,
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    pub logical_id: String,
    pub name: Option<String>,
    pub retention_days: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsmParameter {
    pub logical_id: String,
    pub name: Option<String>,
    /// `String` or `StringList`.
    pub kind: String,
    pub value: String,
}
