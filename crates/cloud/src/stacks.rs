//! Systems made from a template: CloudFormation and Lambda, or the local engine.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{BlobKey, Error, Logs, Millis, Result, Secret};

/// A stack's name, `{project}--{environment}`: 1 to 128 of `a-z 0-9 -`, starting with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StackName(String);

impl StackName {
    pub fn parse(raw: impl Into<String>) -> Result<Self> {
        let raw = raw.into();
        let plain = raw.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain || !raw.starts_with(|c: char| c.is_ascii_lowercase()) || raw.len() > 128 {
            return Err(Error::Invalid("a stack name has 1 to 128 of a-z, 0-9 and -, and starts with a letter".into()));
        }
        Ok(Self(raw))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StackName {
    type Error = Error;
    fn try_from(raw: String) -> Result<Self> {
        Self::parse(raw)
    }
}

impl From<StackName> for String {
    fn from(name: StackName) -> Self {
        name.0
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One version of a system, ready to run.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct DeployStack {
    pub name: StackName,
    /// The first label of the site's host: `{environment}--{project}`.
    pub host_label: String,
    /// The release that this is; shown as the version of every function.
    pub release: String,
    /// The SAM template as written, as JSON: intrinsic functions in their long form (`{"Ref": …}`).
    pub template: serde_json::Value,
    pub parameters: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// The zip of each function and layer, by logical id.
    pub packages: BTreeMap<String, BlobKey>,
    /// The zip of the static front end, when there is one.
    pub site: Option<BlobKey>,
    #[serde(default)]
    pub run: DeployRun,
}

/// How one deploy is carried out, beside what is deployed.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct DeployRun {
    /// Names this deploy among all of its stack: up to 64 letters and digits. A call with the token of an earlier
    /// one goes on with that deploy where it is. Made up when empty.
    pub token: String,
    /// The `StackEvent::id` that an earlier call told last: only later events are told.
    pub told: Option<String>,
    #[serde(skip)]
    pub inspect: Inspect,
}

/// Looks at the template as it will be carried out, after every transform, before anything changes.
#[derive(Clone, Default)]
pub struct Inspect(Option<InspectTemplate>);

/// Says why a template may not be carried out.
pub type InspectTemplate = Arc<dyn Fn(&serde_json::Value) -> Result<(), String> + Send + Sync>;

impl Inspect {
    pub fn by(look: InspectTemplate) -> Self {
        Self(Some(look))
    }

    /// `Error::Invalid` with the reason when the template may not be carried out.
    pub fn look(&self, template: &serde_json::Value) -> Result<()> {
        match &self.0 {
            Some(look) => look(template).map_err(Error::Invalid),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Inspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Inspect(..)" } else { "Inspect" })
    }
}

/// An account and region of somebody's, reached through a role there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StackTarget {
    pub name: String,
    /// The role that is assumed for every call.
    pub role_arn: String,
    /// What the role's trust policy asks for (`sts:ExternalId`).
    pub external_id: String,
    pub region: String,
    /// The permissions boundary of every role that a stack makes there.
    pub boundary: String,
    /// A bucket in that region, where packages are put for Lambda.
    pub bucket: String,
    /// Session tags of the assumed role, for its policies (`aws:PrincipalTag`).
    pub session_tags: BTreeMap<String, String>,
}

/// What a template must keep to in an account that it shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackRules {
    /// The ARN of the permissions boundary of every role.
    pub boundary: String,
    /// The stack's own name there: physical names start with it.
    pub physical_name: String,
    /// The bucket that packages are read from.
    pub bucket: String,
}

/// What a deploy will do to one resource.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PlannedChange {
    /// `Add`, `Modify`, `Remove`, `Import` or `Dynamic`.
    pub action: String,
    /// The logical id.
    pub resource: String,
    /// The resource type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Conditional`, for a `Modify`.
    pub replacement: Option<String>,
}

/// One line of progress.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct StackEvent {
    /// Names the event within its stack; see `DeployRun::told`. Empty where nothing can be told again.
    pub id: String,
    pub at: Millis,
    /// The logical id, or the stack's name.
    pub resource: String,
    /// As CloudFormation names them: `CREATE_IN_PROGRESS`, `UPDATE_COMPLETE`, …
    /// A line of the plan has `PLANNED`.
    pub status: String,
    pub reason: Option<String>,
    /// For a line of the plan.
    pub change: Option<PlannedChange>,
}

/// A part of the template that this cloud cannot honour.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct UnsupportedItem {
    /// The logical id.
    pub resource: String,
    /// The resource type.
    pub kind: String,
    /// The property within it; the whole resource when `None`.
    pub property: Option<String>,
    /// What was done instead, and what to do.
    pub reason: String,
}

/// Whether a stack serves, or what happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackStatus {
    InProgress,
    Ready,
    Failed,
    Deleting,
}

/// A deployed function.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FunctionView {
    pub logical_id: String,
    /// The physical name.
    pub name: String,
    pub runtime: String,
    pub handler: String,
    pub memory_mb: u32,
    pub timeout_s: u32,
    pub log_group: String,
    /// What serves it, when that is not exactly what the template asks for
    /// (``nodejs22.x runs on the installed node 20.20``).
    pub note: Option<String>,
}

/// A deployed resource of the template.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct ResourceView {
    pub logical_id: String,
    pub kind: String,
    pub physical_id: String,
}

/// A deployed SAM app.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Stack {
    pub name: StackName,
    pub status: StackStatus,
    pub release: String,
    /// Where the site answers.
    pub url: Option<String>,
    pub outputs: BTreeMap<String, String>,
    pub functions: Vec<FunctionView>,
    pub resources: Vec<ResourceView>,
    pub unsupported: Vec<UnsupportedItem>,
    pub updated: Millis,
}

/// A call of one function, which waits for the answer.
#[derive(Clone, Debug)]
pub struct Invoke {
    pub stack: StackName,
    /// The logical id, or the physical name.
    pub function: String,
    /// JSON, at most 6 MiB.
    pub payload: Bytes,
}

/// The figures of a REPORT line. Times in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    pub request_id: String,
    pub duration_ms: f64,
    pub billed_duration_ms: u64,
    pub memory_mb: u32,
    pub max_memory_used_mb: u32,
    /// Only on a cold start.
    pub init_duration_ms: Option<f64>,
}

/// How a call of a function ended.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What the function returned, or its error object.
    pub payload: Bytes,
    /// `Unhandled` when the function failed.
    pub function_error: Option<String>,
    /// The last 4 KB of the log of this invocation.
    pub log_tail: String,
    pub report: Option<Report>,
}

/// Keys for the services of one stack, as a role session would give them.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub session_token: Option<Secret>,
    pub expires: Millis,
    pub region: String,
    /// Where these keys are good; AWS's own endpoints when `None`.
    pub endpoint: Option<String>,
}

/// Runs systems. A deploy replaces the running version without a failed request, or leaves it as it was.
#[async_trait::async_trait]
pub trait Stacks: Send + Sync {
    /// Creates or updates a stack and waits until it serves. The plan, then progress go to `events`; a closed receiver
    /// is no error. `Error::Invalid` says why a template is refused; the old version then still serves. A caller that
    /// goes away may call again with the same token (see [`DeployRun`]).
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack>;
    async fn describe(&self, name: &StackName) -> Result<Option<Stack>>;
    async fn invoke(&self, what: Invoke) -> Result<Invocation>;
    /// Removes the stack and what it holds; succeeds when there is none.
    async fn delete(&self, name: &StackName) -> Result<()>;
    /// Keys for a person or a function to use the stack's own services for `ttl` (at most 12 hours).
    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials>;
    /// Asks for the end of the deploy with this token, and for the version before it; does not wait. One that is over,
    /// or cannot be stopped, is left alone.
    async fn cancel(&self, _name: &StackName, _token: &str) -> Result<()> {
        Ok(())
    }
    /// The stacks of another account or region. `Error::Invalid` where there is one place only.
    fn at(&self, target: &StackTarget) -> Result<Arc<dyn Stacks>> {
        Err(Error::Invalid(format!(
            "the target `{}` is an account on AWS, and there is one place only here: bind the environment to `default`",
            target.name
        )))
    }
    /// What a template must keep to here; `None` where each stack is an account of its own.
    fn rules(&self, _name: &StackName) -> Option<StackRules> {
        None
    }
    /// The logs of the functions here, when they are not beside the platform's own.
    fn logs(&self) -> Option<Arc<dyn Logs>> {
        None
    }
}

/// Where deploy progress goes. Unbounded: a deploy has a few events a resource.
pub type EventSink = futures::channel::mpsc::UnboundedSender<StackEvent>;
