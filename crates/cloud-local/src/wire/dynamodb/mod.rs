//! DynamoDB: one companion process a stack, started when first needed.
//!
//! The companion (`companions/dynamodb`) is built apart, because its engine pins another SQLite. It serves one
//! database file on a loopback port and goes when its standard input closes, so it never outlives this process.

mod companion;
mod table;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use cloud::{Error, Result, StackName};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use s3s::Body;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use self::companion::Companion;
use super::dispatch::Call;
use super::forward::Remote;
use super::reply::{Answer, Failure};
use crate::access_keys::Scope;

/// Companions that run at a time; the one that was idle longest makes room.
const COMPANIONS_MAX: usize = 32;
const DATABASE: &str = "DynamoDB_20120810";
const STREAMS: &str = "DynamoDBStreams_20120810";

pub struct DynamoDbSettings {
    /// The companion's program.
    pub program: PathBuf,
    /// The folder of the database files, one a stack.
    pub data: PathBuf,
    /// ARNs of tables and streams name this region.
    pub region: String,
}

/// The tables of stacks; cheap to clone. Dropping the last clone stops the companions.
#[derive(Clone)]
pub struct DynamoDb(Arc<Inner>);

struct Inner {
    settings: DynamoDbSettings,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    companions: HashMap<StackName, Arc<Companion>>,
    /// The order in which companions were used: the least is the oldest.
    used: HashMap<StackName, u64>,
    uses: u64,
}

impl DynamoDb {
    pub fn new(settings: DynamoDbSettings) -> Self {
        Self(Arc::new(Inner { settings, running: Mutex::default() }))
    }

    /// One operation (`PutItem`), with the request and the answer of DynamoDB's JSON protocol.
    pub async fn call(&self, stack: &StackName, operation: &str, body: &Value) -> Result<Value> {
        self.send(stack, DATABASE, operation, body).await
    }

    /// One operation of DynamoDB Streams (`GetRecords`).
    pub async fn call_streams(&self, stack: &StackName, operation: &str, body: &Value) -> Result<Value> {
        self.send(stack, STREAMS, operation, body).await
    }

    /// Makes the table `name` as the template asks, or brings it there: indexes, stream, time to live. A change of
    /// its key is refused. The answer is the table's description (`TableArn`, `LatestStreamArn`, …).
    ///
    /// # Errors
    /// `Error::Invalid` where the companion is not built: trying again does not help.
    pub async fn ensure_table(&self, stack: &StackName, name: &str, table: &sam::Table) -> Result<Value> {
        if !self.0.settings.program.exists() {
            return Err(Error::Invalid(format!(
                "the table `{name}` needs the DynamoDB companion, which is not built: run `cargo xtask companions`"
            )));
        }
        table::ensure(self, stack, name, table).await
    }

    /// Removes the table; succeeds when there is none.
    pub async fn delete_table(&self, stack: &StackName, name: &str) -> Result<()> {
        if !self.database(stack).exists() {
            return Ok(());
        }
        match self.call(stack, "DeleteTable", &json!({"TableName": name})).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Stops the stack's companion and removes its database; succeeds when there is none.
    pub async fn remove(&self, stack: &StackName) -> Result<()> {
        let mut running = self.0.running.lock().await;
        running.used.remove(stack);
        if let Some(companion) = running.companions.remove(stack) {
            companion.stop().await;
        }
        for suffix in ["", "-wal", "-shm"] {
            let path = self.0.settings.data.join(format!("{stack}.db{suffix}"));
            match tokio::fs::remove_file(&path).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::other(format!("removing `{}`", path.display()), error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Stops all companions; they start again when needed.
    pub async fn stop(&self) {
        let companions = std::mem::take(&mut *self.0.running.lock().await).companions;
        for companion in companions.into_values() {
            companion.stop().await;
        }
    }

    pub(super) async fn answer(&self, call: &Call) -> Answer<Response<Body>> {
        let Scope::Stack(stack) = &call.key.scope else {
            return Err(Failure::new("ResourceNotFoundException", "the platform itself has no DynamoDB tables"));
        };
        self.remote(stack).await.map_err(absent)?.pass_on(call).await
    }

    async fn send(&self, stack: &StackName, target: &str, operation: &str, body: &Value) -> Result<Value> {
        let remote = self.remote(stack).await?;
        let region = &self.0.settings.region;
        let failed = |failure: Failure| Error::Unavailable(format!("DynamoDB ({})", failure.message));
        let request = Request::post(remote.uri("/").map_err(failed)?)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("{target}.{operation}"))
            .header("x-amz-date", "20260101T000000Z")
            // The companion looks at the form of the header alone: this call comes from inside.
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential=WORKROOM/20260101/{region}/dynamodb/aws4_request, \
                     SignedHeaders=host;x-amz-date;x-amz-target, Signature=0"
                ),
            )
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|error| Error::other("writing a DynamoDB request", error))?;
        let (parts, bytes) = remote.send(request).await.map_err(failed)?.into_parts();
        let answer: Value = serde_json::from_slice(&bytes)
            .map_err(|error| Error::other(format!("reading DynamoDB's answer to `{operation}`"), error))?;
        if parts.status == StatusCode::OK { Ok(answer) } else { Err(refusal(operation, &answer)) }
    }

    async fn remote(&self, stack: &StackName) -> Result<Remote> {
        let mut running = self.0.running.lock().await;
        running.uses += 1;
        let use_number = running.uses;
        running.used.insert(stack.clone(), use_number);
        if let Some(companion) = running.companions.get(stack) {
            if companion.runs().await {
                return Ok(companion.remote.clone());
            }
            running.companions.remove(stack);
        }
        if running.companions.len() >= COMPANIONS_MAX {
            let mut idle: Vec<StackName> = running.companions.keys().cloned().collect();
            idle.sort_by_key(|name| running.used.get(name).copied());
            if let Some(companion) = idle.first().and_then(|name| running.companions.remove(name)) {
                companion.stop().await;
            }
        }
        let companion = Companion::start(&self.0.settings.program, &self.database(stack)).await?;
        let remote = companion.remote.clone();
        running.companions.insert(stack.clone(), Arc::new(companion));
        Ok(remote)
    }

    fn database(&self, stack: &StackName) -> PathBuf {
        self.0.settings.data.join(format!("{stack}.db"))
    }
}

/// What DynamoDB refused, as the port says it.
fn refusal(operation: &str, answer: &Value) -> Error {
    let kind = answer["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default();
    let message = answer["message"].as_str().or(answer["Message"].as_str()).unwrap_or("no reason given");
    match kind {
        "ResourceNotFoundException" => Error::NotFound(message.to_owned()),
        "TrimmedDataAccessException" | "ExpiredIteratorException" => Error::Stale("the stream's iterator"),
        "ResourceInUseException" => Error::ConditionFailed { key: message.to_owned(), index: None },
        _ => Error::Invalid(format!("DynamoDB refused {operation}: {kind}: {message}")),
    }
}

/// Not a 503: SDKs would try again for a long while before they told anybody.
fn absent(error: Error) -> Failure {
    Failure::new("ServiceUnavailableException", error.to_string()).with_status(StatusCode::NOT_IMPLEMENTED)
}
