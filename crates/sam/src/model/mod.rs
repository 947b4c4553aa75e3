//! The resolved form of a template: what a system is made of, with every value filled in.

mod api;
mod data;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use api::*;
pub use data::*;

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

/// A Lambda function.
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

/// Where the code of a function or layer comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A folder or archive, relative to the template, as written (`CodeUri`).
    Path(String),
    /// `InlineCode`.
    Inline(String),
}

/// A layer as a function names it.
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

/// A Lambda layer.
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

/// What calls a function.
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
    /// The queue that is told of records that were given up.
    pub on_failure: Option<QueueReference>,
    pub enabled: bool,
}

/// A queue as an event source or redrive policy names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueReference {
    Logical(String),
    Arn(String),
}
