//! SQS: the queues of a scope, and the JSON protocol over them.

mod messages;

use std::time::Duration;

use cloud::{Error, Expect, RangeQuery, RecordKey, Records, Result};
use http::{Response, StatusCode};
use s3s::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ACCOUNT_ID;
use super::dispatch::{Call, Endpoint};
use super::reply::{Answer, Failure, json_response, read};
use crate::access_keys::Scope;
use crate::{LocalQueue, QueueSettings, Store};

const PARTITION: &str = "queue";
/// Received more often than anybody waits for: a queue without a redrive policy keeps its messages.
const RECEIVES_UNLIMITED: u32 = u32::MAX;
const ABSENT: &str = "com.amazonaws.sqs#QueueDoesNotExist";
const LIST_MAX: usize = 1000;

/// A queue as its owner asked for it. Times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSpec {
    /// 1 to 80 letters, digits, `-` and `_` (and `.fifo` at the end).
    pub name: String,
    pub visibility_s: u32,
    pub delay_s: u32,
    /// How long a receive waits when it does not say so itself.
    pub wait_s: u32,
    pub redrive: Option<RedriveSpec>,
}

/// Where a message goes that was received too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedriveSpec {
    /// A queue of the same scope.
    pub dead_letters: String,
    pub receives_max: u32,
}

impl QueueSpec {
    /// A queue with the defaults of SQS.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), visibility_s: 30, delay_s: 0, wait_s: 0, redrive: None }
    }

    fn check(&self) -> Result<()> {
        let base = self.name.strip_suffix(".fifo").unwrap_or(&self.name);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if base.is_empty() || self.name.len() > 80 || !base.bytes().all(plain) {
            return Err(Error::Invalid("a queue name has 1 to 80 letters, digits, `-` and `_`".into()));
        }
        if self.visibility_s > 43_200 || self.delay_s > 900 || self.wait_s > 20 {
            return Err(Error::Invalid(
                "a queue's visibility is at most 12 hours, its delay 900 s, its wait 20 s".into(),
            ));
        }
        Ok(())
    }
}

/// The queues that each scope owns, by name; cheap to clone.
#[derive(Clone)]
pub struct Queues(Store);

/// A queue that exists.
pub struct OpenQueue {
    pub spec: QueueSpec,
    pub queue: LocalQueue,
}

impl Queues {
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Creates the queue, or changes what is asked of it.
    pub async fn define(&self, scope: &Scope, spec: &QueueSpec) -> Result<()> {
        spec.check()?;
        let value = serde_json::to_value(spec).map_err(|error| Error::other("writing a queue's settings", error))?;
        self.records(scope).put(RecordKey::new(PARTITION, &spec.name), value, Expect::Anything).await?;
        self.local(scope, spec).create().await
    }

    /// Opens the queue that a scope knows by `name`.
    pub async fn open(&self, scope: &Scope, name: &str) -> Result<Option<OpenQueue>> {
        let Some(record) = self.records(scope).get(&RecordKey::new(PARTITION, name)).await? else { return Ok(None) };
        let spec = parse(record.value, name)?;
        Ok(Some(OpenQueue { queue: self.local(scope, &spec), spec }))
    }

    /// Names that start with `prefix`, at most 1,000.
    pub async fn list(&self, scope: &Scope, prefix: &str) -> Result<Vec<String>> {
        let query =
            RangeQuery { partition: PARTITION.into(), prefix: prefix.into(), limit: LIST_MAX, ..RangeQuery::default() };
        Ok(self.records(scope).query(query).await?.records.into_iter().map(|record| record.key.sort).collect())
    }

    /// Removes the queue with its messages; succeeds when there is none.
    pub async fn remove(&self, scope: &Scope, name: &str) -> Result<()> {
        self.records(scope).delete(RecordKey::new(PARTITION, name), Expect::Anything).await?;
        self.0.delete_queue(&scope.bucket(name)).await
    }

    fn local(&self, scope: &Scope, spec: &QueueSpec) -> LocalQueue {
        let receives_max = spec.redrive.as_ref().map_or(RECEIVES_UNLIMITED, |redrive| redrive.receives_max);
        let queue = self.0.queue(&scope.bucket(&spec.name), QueueSettings { receives_max });
        match &spec.redrive {
            Some(redrive) => queue.with_dead_letter_queue(&scope.bucket(&redrive.dead_letters)),
            None => queue,
        }
    }

    fn records(&self, scope: &Scope) -> Box<dyn Records> {
        Box::new(self.0.records_in(&scope.namespace()))
    }
}

fn parse(value: Value, name: &str) -> Result<QueueSpec> {
    serde_json::from_value(value)
        .map_err(|error| Error::other(format!("reading the settings of queue `{name}`"), error))
}

/// The URL that names a queue to its callers.
fn url(endpoint: &str, name: &str) -> String {
    format!("{endpoint}/{ACCOUNT_ID}/{name}")
}

/// The answer of one SQS operation (`AmazonSQS.…`).
pub(super) async fn answer(endpoint: &Endpoint, call: &Call) -> Response<Body> {
    let answered = async {
        let operation = call.operation("AmazonSQS.")?;
        run(endpoint, call, operation).await
    };
    match answered.await {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(failure) => {
            let mut response = failure.json();
            // What clients of the older query protocol know the error as.
            if failure.code == ABSENT {
                let legacy = http::HeaderValue::from_static("AWS.SimpleQueueService.NonExistentQueue;Sender");
                response.headers_mut().insert("x-amzn-query-error", legacy);
            }
            response
        }
    }
}

async fn run(endpoint: &Endpoint, call: &Call, operation: &str) -> Answer {
    let scope = &call.key.scope;
    let base = &endpoint.settings.endpoint;
    match operation {
        "CreateQueue" => create(endpoint, scope, &call.body).await,
        "GetQueueUrl" => {
            let asked: ByName = read(&call.body)?;
            let open = named(endpoint, scope, &asked.queue_name).await?;
            Ok(json!({"QueueUrl": url(base, &open.spec.name)}))
        }
        "ListQueues" => {
            let asked: List = read(&call.body)?;
            let names = endpoint.queues.list(scope, &asked.queue_name_prefix).await.map_err(port)?;
            Ok(json!({"QueueUrls": names.iter().map(|name| url(base, name)).collect::<Vec<_>>()}))
        }
        "DeleteQueue" => {
            let open = at(endpoint, scope, &read::<ByUrl>(&call.body)?.queue_url).await?;
            endpoint.queues.remove(scope, &open.spec.name).await.map_err(port)?;
            Ok(json!({}))
        }
        "PurgeQueue" => {
            let open = at(endpoint, scope, &read::<ByUrl>(&call.body)?.queue_url).await?;
            open.queue.purge().await.map_err(port)?;
            Ok(json!({}))
        }
        "GetQueueAttributes" => attributes(endpoint, call).await,
        "SetQueueAttributes" => set_attributes(endpoint, scope, &call.body).await,
        other => {
            let open = at(endpoint, scope, &read::<ByUrl>(&call.body)?.queue_url).await?;
            messages::run(&open, other, &call.body).await
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByName {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ByUrl {
    queue_url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    #[serde(default)]
    queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    queue_name: String,
    #[serde(default)]
    attributes: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetAttributes {
    queue_url: String,
    attributes: serde_json::Map<String, Value>,
}

async fn create(endpoint: &Endpoint, scope: &Scope, body: &[u8]) -> Answer {
    let asked: Create = read(body)?;
    let mut spec = QueueSpec::new(&asked.queue_name);
    change(&mut spec, &asked.attributes)?;
    if let Some(open) = endpoint.queues.open(scope, &spec.name).await.map_err(port)?
        && open.spec != spec
    {
        return Err(Failure::new("QueueNameExists", "the queue exists with other attributes"));
    }
    endpoint.queues.define(scope, &spec).await.map_err(port)?;
    Ok(json!({"QueueUrl": url(&endpoint.settings.endpoint, &spec.name)}))
}

async fn set_attributes(endpoint: &Endpoint, scope: &Scope, body: &[u8]) -> Answer {
    let asked: SetAttributes = read(body)?;
    let mut spec = at(endpoint, scope, &asked.queue_url).await?.spec;
    change(&mut spec, &asked.attributes)?;
    endpoint.queues.define(scope, &spec).await.map_err(port)?;
    Ok(json!({}))
}

/// Attributes that this machine does not act on are taken and left (retention, encryption, policies).
fn change(spec: &mut QueueSpec, attributes: &serde_json::Map<String, Value>) -> Answer<()> {
    for (name, value) in attributes {
        let text = value.as_str().unwrap_or_default();
        let number = || {
            let refused = || Failure::new("InvalidAttributeValue", format!("`{name}` is a whole number of seconds"));
            text.parse::<u32>().map_err(|_| refused())
        };
        match name.as_str() {
            "VisibilityTimeout" => spec.visibility_s = number()?,
            "DelaySeconds" => spec.delay_s = number()?,
            "ReceiveMessageWaitTimeSeconds" => spec.wait_s = number()?,
            "RedrivePolicy" => spec.redrive = redrive(text)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads `{"deadLetterTargetArn": "…:name", "maxReceiveCount": 3 | "3"}`; an empty text removes the policy.
fn redrive(text: &str) -> Answer<Option<RedriveSpec>> {
    if text.is_empty() {
        return Ok(None);
    }
    let refused =
        || Failure::new("InvalidAttributeValue", "a redrive policy has deadLetterTargetArn and maxReceiveCount");
    let policy: Value = serde_json::from_str(text).map_err(|_| refused())?;
    let arn = policy["deadLetterTargetArn"].as_str().ok_or_else(refused)?;
    let count = &policy["maxReceiveCount"];
    let receives_max = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    let receives_max =
        receives_max.and_then(|count| u32::try_from(count).ok()).filter(|count| (1..=1000).contains(count));
    let dead_letters = arn.rsplit(':').next().unwrap_or_default().to_owned();
    Ok(Some(RedriveSpec { dead_letters, receives_max: receives_max.ok_or_else(refused)? }))
}

async fn attributes(endpoint: &Endpoint, call: &Call) -> Answer {
    let open = at(endpoint, &call.key.scope, &read::<ByUrl>(&call.body)?.queue_url).await?;
    let counts = open.queue.counts().await.map_err(port)?;
    let arn = |name: &str| format!("arn:aws:sqs:{}:{ACCOUNT_ID}:{name}", call.region);
    let mut all = serde_json::Map::new();
    let mut put = |name: &str, value: String| all.insert(name.into(), Value::String(value));
    put("QueueArn", arn(&open.spec.name));
    put("ApproximateNumberOfMessages", counts.visible.to_string());
    put("ApproximateNumberOfMessagesNotVisible", counts.leased.to_string());
    put("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string());
    put("VisibilityTimeout", open.spec.visibility_s.to_string());
    put("DelaySeconds", open.spec.delay_s.to_string());
    put("ReceiveMessageWaitTimeSeconds", open.spec.wait_s.to_string());
    if let Some(redrive) = &open.spec.redrive {
        let policy =
            json!({"deadLetterTargetArn": arn(&redrive.dead_letters), "maxReceiveCount": redrive.receives_max});
        put("RedrivePolicy", policy.to_string());
    }
    let asked: Value = read(&call.body)?;
    if let Some(names) = asked["AttributeNames"].as_array()
        && !names.iter().any(|name| name == "All")
    {
        all.retain(|name, _| names.iter().any(|asked| asked == name));
    }
    Ok(json!({"Attributes": all}))
}

/// The queue behind a URL; only its last part counts, since every scope has its own queues.
async fn at(endpoint: &Endpoint, scope: &Scope, url: &str) -> Answer<OpenQueue> {
    named(endpoint, scope, url.rsplit('/').next().unwrap_or_default()).await
}

async fn named(endpoint: &Endpoint, scope: &Scope, name: &str) -> Answer<OpenQueue> {
    let open = endpoint.queues.open(scope, name).await.map_err(port)?;
    open.ok_or_else(|| Failure::new(ABSENT, "the specified queue does not exist"))
}

fn port(error: Error) -> Failure {
    Failure::from_port(error, ABSENT)
}

/// `None` means the queue's own.
fn seconds(given: Option<u32>, own: u32) -> Duration {
    Duration::from_secs(u64::from(given.unwrap_or(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_policy_is_read_as_templates_and_sdks_write_it() {
        let arn = "arn:aws:sqs:eu-central-1:000000000000:dead";
        for count in ["3", "\"3\""] {
            let text = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
            let read = redrive(&text).unwrap().unwrap();
            assert_eq!((read.dead_letters.as_str(), read.receives_max), ("dead", 3));
        }
        assert_eq!(redrive("").unwrap(), None);
        for bad in ["{}", "x", r#"{"deadLetterTargetArn":"a:b","maxReceiveCount":0}"#] {
            assert!(redrive(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queue_names_are_checked() {
        for (name, fits) in [("jobs", true), ("a-b_C1.fifo", true), ("", false), ("a/b", false), (".fifo", false)] {
            assert_eq!(QueueSpec::new(name).check().is_ok(), fits, "{name}");
        }
    }
}
