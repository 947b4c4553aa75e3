//! What keeps state: queues, buckets, tables, topics, log groups, parameters.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QueueReference;

/// An SQS queue.
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

/// When a message becomes a dead letter, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub dead_letters: QueueReference,
    pub max_receive_count: u32,
}

/// An S3 bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    pub logical_id: String,
    pub name: Option<String>,
    pub website: Option<Website>,
    /// `CorsConfiguration.CorsRules` as written, filled in.
    pub cors: Vec<Value>,
    pub versioned: bool,
}

/// How a bucket is served as a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Website {
    /// `index.html`, mostly.
    pub index: String,
    /// The key shown for 4xx.
    pub error: Option<String>,
}

/// A DynamoDB table.
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

/// An SNS topic; its name is given out, nothing is delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    pub logical_id: String,
    pub name: Option<String>,
}

/// A log group of CloudWatch Logs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogGroup {
    pub logical_id: String,
    pub name: Option<String>,
    pub retention_days: Option<u32>,
}

/// A parameter of Parameter Store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SsmParameter {
    pub logical_id: String,
    pub name: Option<String>,
    /// `String` or `StringList`.
    pub kind: String,
    pub value: String,
}
