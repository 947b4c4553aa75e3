//! Environments: where a release of the project runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{
    Credentials, Expect, FunctionView, Invocation, Invoke, Millis, RangeQuery, Stack, StackName, Stacks,
    UnsupportedItem, Write,
};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::jobs::{DeploySource, JobKind, JobState, Jobs, Lease, NewJob, Outcome};
use crate::projects::{Project, etag};
use crate::targets::{Target, find as find_target, release_use};
use crate::{
    Caller, EnvironmentName, Error, Expected, Job, JobId, Page, PageQuery, ReleaseId, Result, Slug, TargetName, keys,
    stack,
};

/// How long keys for an environment's services are good.
pub const CREDENTIALS_LIFE: Duration = Duration::from_secs(60 * 60);
/// Environments of one project.
const ENVIRONMENTS_MAX: usize = 20;

/// An environment as the project's members see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Environment {
    pub name: EnvironmentName,
    /// What serves now; `None` before the first deploy has succeeded.
    pub release: Option<ReleaseId>,
    pub commit: Option<String>,
    pub url: Option<String>,
    pub outputs: BTreeMap<String, String>,
    pub unsupported: Vec<UnsupportedItem>,
    /// The newest job that deploys or removes it.
    pub job: Option<JobId>,
    pub protected: bool,
    /// Where it is deployed; the platform's own account when `None`.
    pub target: Option<TargetName>,
    pub updated: Millis,
    pub etag: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EnvironmentRecord {
    v: u32,
    pub name: EnvironmentName,
    pub release: Option<ReleaseId>,
    commit: Option<String>,
    url: Option<String>,
    outputs: BTreeMap<String, String>,
    unsupported: Vec<UnsupportedItem>,
    pub job: Option<JobId>,
    #[serde(default)]
    pub target: Option<TargetName>,
    pub updated: Millis,
}

impl EnvironmentRecord {
    pub fn new(name: EnvironmentName, now: Millis) -> Self {
        Self {
            v: 1,
            name,
            release: None,
            commit: None,
            url: None,
            outputs: BTreeMap::new(),
            unsupported: Vec::new(),
            job: None,
            target: None,
            updated: now,
        }
    }

    pub fn view(self, project: &Project, version: &cloud::Version) -> Environment {
        Environment {
            protected: project.protected_environments.contains(&self.name),
            name: self.name,
            release: self.release,
            commit: self.commit,
            url: self.url,
            outputs: self.outputs,
            unsupported: self.unsupported,
            job: self.job,
            target: self.target,
            updated: self.updated,
            etag: etag(version),
        }
    }
}

/// What to deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Publish {
    /// What a branch, tag or commit points at now.
    Reference(String),
    /// What this build job made.
    Build(String),
    /// An earlier release.
    Release(String),
}

/// The event of an invocation.
#[derive(Clone, Debug, PartialEq)]
pub enum InvocationEvent {
    Json(Value),
    /// A file of the repository, for example `events/hello.json`.
    File {
        path: String,
        reference: String,
    },
}

/// What a deploy needs to know about its environment; for the worker.
#[derive(Clone)]
pub struct DeployTarget {
    pub stack: StackName,
    /// The first label of the site's host.
    pub host_label: String,
    pub project_slug: String,
    /// The platform's own account when `None`.
    pub target: Option<Target>,
    /// Where the stack is.
    pub stacks: Arc<dyn Stacks>,
}

/// What runs in an environment.
pub(crate) struct Running {
    pub name: StackName,
    pub stack: Stack,
    /// Where it runs.
    pub stacks: Arc<dyn Stacks>,
}

/// Where the stack of an environment is; `Error::Conflict` says why it cannot be reached.
pub(crate) async fn stacks_of(
    core: &Core,
    slug: &Slug,
    project: &ProjectId,
    record: &EnvironmentRecord,
) -> Result<Arc<dyn Stacks>> {
    let Some(name) = &record.target else { return Ok(core.ports.stacks.clone()) };
    stacks_at(core, slug, project, &record.name, &find_target(core, name).await?)
}

fn stacks_at(
    core: &Core,
    slug: &Slug,
    project: &ProjectId,
    name: &EnvironmentName,
    target: &Target,
) -> Result<Arc<dyn Stacks>> {
    match core.ports.stacks.at(&target.stack_target(slug.as_str(), project, name)) {
        Err(cloud::Error::Invalid(text)) => Err(Error::Conflict(text.into())),
        other => Ok(other?),
    }
}

/// For a purge: removes the stack of an environment, and the environment from its target's list.
pub(crate) async fn clear(core: &Core, slug: &Slug, project: &ProjectId, name: &EnvironmentName) -> Result<()> {
    let key = keys::environment(project, name);
    let Some(stored) = core.read::<EnvironmentRecord>(&key).await? else { return Ok(()) };
    let stacks = stacks_of(core, slug, project, &stored.value).await?;
    stacks.delete(&stack::stack_name(slug, name)?).await?;
    let mut writes = vec![Write::Delete { key, expect: Expect::Anything }];
    if let Some(target) = &stored.value.target {
        writes.extend(release_use(core, target, project, name).await?);
    }
    core.ports.records.transact(writes).await?;
    Ok(())
}

/// `Error::Quota` when the project has as many environments as it may.
pub(crate) async fn refuse_too_many(core: &Core, project: &ProjectId) -> Result<()> {
    if names(core, project).await?.len() < ENVIRONMENTS_MAX {
        return Ok(());
    }
    Err(Error::Quota(format!("A project has at most {ENVIRONMENTS_MAX} environments.").into()))
}

/// Publishes to environments and looks into what runs there.
#[derive(Clone)]
pub struct Environments {
    core: Arc<Core>,
}

/// The names of a project's environments; for the purge.
pub(crate) async fn names(core: &Core, project: &ProjectId) -> Result<Vec<EnvironmentName>> {
    let page = core.ports.records.query(all(project, None, 1_000)).await?;
    let records = page.records.iter().map(crate::core::decode::<EnvironmentRecord>);
    records.map(|record| record.map(|r| r.name)).collect()
}

fn all(project: &ProjectId, after: Option<String>, limit: usize) -> RangeQuery {
    RangeQuery {
        partition: keys::partition(project),
        prefix: keys::ENVIRONMENT.into(),
        after,
        descending: false,
        limit,
    }
}

impl Environments {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Environment>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = query.after(keys::ENVIRONMENT, |raw| EnvironmentName::parse(raw).is_ok())?;
        let page = self.core.ports.records.query(all(&project.id, after, query.limit())).await?;
        let view = |record: &cloud::Record| {
            crate::core::decode::<EnvironmentRecord>(record).map(|value| value.view(&project, &record.version))
        };
        let items = page.records.iter().map(view).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::ENVIRONMENT).to_owned()) })
    }

    pub async fn get(&self, caller: &Caller, project: &str, name: &str) -> Result<Environment> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let stored = self.stored(&project.id, name).await?;
        Ok(stored.value.view(&project, &stored.version))
    }

    async fn stored(&self, project: &ProjectId, name: &str) -> Result<Stored<EnvironmentRecord>> {
        let name = EnvironmentName::parse(name).map_err(|_| Error::NotFound("environment"))?;
        self.core.read(&keys::environment(project, &name)).await?.ok_or(Error::NotFound("environment"))
    }

    /// The project, if the caller may do `permission` there and, when the environment is protected, deploy to it.
    async fn guarded(&self, caller: &Caller, project: &str, name: &str, permission: Permission) -> Result<Project> {
        let found = self.core.project(caller, project, permission).await?;
        if found.protected_environments.iter().any(|protected| protected.as_str() == name) {
            return self.core.project(caller, project, Permission::DeployProtected).await;
        }
        Ok(found)
    }

    /// Starts a deploy. The environment comes into being with its first one.
    pub async fn publish(&self, caller: &Caller, project: &str, name: &str, what: Publish) -> Result<Job> {
        let project = self.guarded(caller, project, name, Permission::Deploy).await?;
        let name = EnvironmentName::parse(name)?;
        let (what, commit, reference) = self.source(&project.id, what).await?;
        let jobs = Jobs::new(self.core.clone());
        let id = jobs.new_id()?;
        let put = self.with_job(&project.id, &name, &id).await?;
        let kind = JobKind::Deploy { environment: name, what };
        jobs.create(caller, &project.id, NewJob { id, kind, reference, commit: Some(commit) }, vec![put]).await
    }

    async fn source(&self, project: &ProjectId, what: Publish) -> Result<(DeploySource, String, Option<String>)> {
        match what {
            Publish::Reference(reference) => {
                let commit = crate::repository::resolve(&self.core, project, &reference).await?;
                Ok((DeploySource::Commit, commit.to_string(), Some(reference)))
            }
            Publish::Build(raw) => {
                let id = JobId::parse(raw).map_err(|_| Error::NotFound("build"))?;
                let found = Jobs::new(self.core.clone()).find(project, &id).await;
                let job = found.map_err(|e| if let Error::NotFound(_) = e { Error::NotFound("build") } else { e })?;
                match (job.kind, job.state, job.commit) {
                    (JobKind::Build, JobState::Succeeded, Some(commit)) => Ok((DeploySource::Build(id), commit, None)),
                    _ => Err(Error::conflict("Only a build that succeeded can be deployed.")),
                }
            }
            Publish::Release(raw) => {
                let id = ReleaseId::parse(raw).map_err(|_| Error::NotFound("release"))?;
                let found = crate::Releases::new(self.core.clone()).get(project, &id).await?;
                let release = found.ok_or(Error::NotFound("release"))?;
                Ok((DeploySource::Release(id), release.commit, None))
            }
        }
    }

    /// The write that makes `job` the environment's newest, unless another is still at it.
    async fn with_job(&self, project: &ProjectId, name: &EnvironmentName, job: &JobId) -> Result<Write> {
        let key = keys::environment(project, name);
        let stored = self.core.read::<EnvironmentRecord>(&key).await?;
        let Some(Stored { value: mut record, version }) = stored else {
            refuse_too_many(&self.core, project).await?;
            let mut record = EnvironmentRecord::new(name.clone(), self.core.ports.clock.now());
            record.job = Some(job.clone());
            return Ok(Write::put(key, json!(record), Expect::Absent));
        };
        if let Some(running) = &record.job {
            let running = Jobs::new(self.core.clone()).find(project, running).await?;
            if !running.state.is_final() {
                return Err(Error::conflict(format!("Job {} is still at this environment.", running.id)));
            }
        }
        record.job = Some(job.clone());
        Ok(Write::put(key, json!(record), Expect::At(version)))
    }

    /// Starts the removal of an environment with everything it holds.
    pub async fn remove(&self, caller: &Caller, project: &str, name: &str, expected: &Expected) -> Result<Job> {
        let project = self.guarded(caller, project, name, Permission::Deploy).await?;
        let stored = self.stored(&project.id, name).await?;
        expected.check(&etag(&stored.version), "environment")?;
        let jobs = Jobs::new(self.core.clone());
        let id = jobs.new_id()?;
        let put = self.with_job(&project.id, &stored.value.name, &id).await?;
        let kind = JobKind::Remove { environment: stored.value.name };
        jobs.create(caller, &project.id, NewJob { id, kind, reference: None, commit: None }, vec![put]).await
    }

    /// The functions that run in an environment.
    pub async fn functions(&self, caller: &Caller, project: &str, name: &str) -> Result<Vec<FunctionView>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        Ok(self.running(&project, name).await?.stack.functions)
    }

    /// The stack of an environment; `Error::NotFound` when nothing runs there.
    pub(crate) async fn running(&self, project: &Project, name: &str) -> Result<Running> {
        let stored = self.stored(&project.id, name).await?;
        let stacks = stacks_of(&self.core, &project.slug, &project.id, &stored.value).await?;
        let name = stack::stack_name(&project.slug, &stored.value.name)?;
        let found = stacks.describe(&name).await.map_err(unreachable)?;
        Ok(Running { name, stack: found.ok_or(Error::NotFound("environment"))?, stacks })
    }

    /// Calls a function and waits for its answer.
    pub async fn invoke(
        &self,
        caller: &Caller,
        project: &str,
        name: &str,
        function: &str,
        event: InvocationEvent,
    ) -> Result<Invocation> {
        let project = self.guarded(caller, project, name, Permission::Invoke).await?;
        let Running { name: stack, stack: running, stacks } = self.running(&project, name).await?;
        let function = find_function(&running, function)?.logical_id.clone();
        let payload = self.payload(&project, event).await?;
        if payload.len() > FUNCTION_PAYLOAD_MAX {
            return Err(Error::TooLarge(format!("An event has at most {FUNCTION_PAYLOAD_MAX} bytes.").into()));
        }
        match stacks.invoke(Invoke { stack, function, payload }).await {
            Err(cloud::Error::NotFound(_)) => Err(Error::NotFound("function")),
            Err(cloud::Error::Invalid(text)) => Err(Error::invalid("event", text)),
            other => Ok(other?),
        }
    }

    async fn payload(&self, project: &Project, event: InvocationEvent) -> Result<Bytes> {
        match event {
            InvocationEvent::Json(value) => Ok(value.to_string().into()),
            InvocationEvent::File { path, reference } => {
                let commit = crate::repository::resolve(&self.core, &project.id, &reference).await?;
                let path = crate::repository::parse_path("event_path", &path)?;
                let file = self.core.git.file(&project.repository()?, commit, &path).await;
                let file = file.map_err(|e| Error::git(e, "file", "event_path"))?;
                let json = serde_json::from_slice::<Value>(&file.bytes);
                json.map_err(|e| Error::invalid("event_path", format!("The file is not JSON: {e}.")))?;
                Ok(file.bytes)
            }
        }
    }

    /// Keys for the services of the environment, good for an hour.
    pub async fn credentials(&self, caller: &Caller, project: &str, name: &str) -> Result<Credentials> {
        let project = self.guarded(caller, project, name, Permission::Invoke).await?;
        let running = self.running(&project, name).await?;
        let keys = running.stacks.credentials(&running.name, CREDENTIALS_LIFE).await.map_err(unreachable)?;
        let event = NewEvent::new("environment.credentials_issued", format!("environment/{name}"), json!({}));
        self.core.commit(&project.id, caller, &[event], Vec::new()).await?;
        Ok(keys)
    }

    /// For the worker: where a deploy job goes.
    pub async fn target(&self, lease: &Lease, name: &EnvironmentName) -> Result<DeployTarget> {
        let stored = self.core.read::<crate::projects::ProjectRecord>(&keys::project(&lease.project)).await?;
        let project = stored.filter(|s| !s.value.deleted).ok_or(Error::NotFound("project"))?.value;
        let record = self.stored(&lease.project, name.as_str()).await?.value;
        let (target, stacks) = match &record.target {
            None => (None, self.core.ports.stacks.clone()),
            Some(bound) => {
                let target = find_target(&self.core, bound).await?;
                let stacks = stacks_at(&self.core, &project.slug, &lease.project, name, &target)?;
                (Some(target), stacks)
            }
        };
        if target.as_ref().is_some_and(|target| !target.allows(&lease.project, name)) {
            return Err(Error::conflict(
                "The target of this environment is no longer for this project and environment.",
            ));
        }
        Ok(DeployTarget {
            stack: stack::stack_name(&project.slug, name)?,
            host_label: stack::host_label(&project.slug, name),
            project_slug: project.slug.to_string(),
            target,
            stacks,
        })
    }

    /// For the worker: the stack serves `release`. The environment, the event and the job's end are one transaction.
    pub async fn set_release(
        &self,
        lease: &Lease,
        name: &EnvironmentName,
        release: &ReleaseId,
        stack: &Stack,
        result: Value,
    ) -> Result<Job> {
        let release = crate::Releases::new(self.core.clone()).get(&lease.project, release).await?;
        let release = release.ok_or(Error::NotFound("release"))?;
        let stored = self.stored(&lease.project, name.as_str()).await?;
        let mut record = stored.value;
        record.release = Some(release.id.clone());
        record.commit = Some(release.commit.clone());
        record.url = stack.url.clone();
        record.outputs = stack.outputs.clone();
        record.unsupported = stack.unsupported.clone();
        record.updated = self.core.ports.clock.now();
        let write = Write::put(keys::environment(&lease.project, name), json!(record), Expect::At(stored.version));
        let detail = json!({ "environment": name, "release": release.id, "commit": release.commit, "url": record.url });
        let event = NewEvent::new("release.published", format!("environment/{name}"), detail);
        let jobs = Jobs::new(self.core.clone());
        jobs.finish_with(lease, Outcome::Succeeded { result }, vec![write], vec![event]).await
    }

    /// For the worker: takes the environment down, then ends the job together with its record.
    pub(crate) async fn take_down(&self, lease: &Lease, name: &EnvironmentName) -> Result<Job> {
        let jobs = Jobs::new(self.core.clone());
        let failed = |error: String| Outcome::Failed { error, result: Value::Null };
        let target = match self.target(lease, name).await {
            Err(Error::Conflict(text)) => return jobs.finish(lease, failed(text.into_owned())).await,
            other => other?,
        };
        // What its owner can mend (a bucket that is not empty) is not tried again as it is.
        match target.stacks.delete(&target.stack).await {
            Err(cloud::Error::Invalid(text)) => return jobs.finish(lease, failed(text)).await,
            other => other?,
        }
        let mut writes = vec![Write::Delete { key: keys::environment(&lease.project, name), expect: Expect::Anything }];
        if let Some(target) = &target.target {
            writes.extend(release_use(&self.core, &target.name, &lease.project, name).await?);
        }
        let event = NewEvent::new("environment.removed", format!("environment/{name}"), json!({ "environment": name }));
        jobs.finish_with(lease, Outcome::Succeeded { result: json!({}) }, writes, vec![event]).await
    }
}

/// A target that cannot be reached is for an admin to mend; its text says how.
fn unreachable(error: cloud::Error) -> Error {
    match error {
        cloud::Error::Invalid(text) => Error::Conflict(text.into()),
        other => other.into(),
    }
}

/// The function with this logical id or physical name.
pub(crate) fn find_function<'a>(stack: &'a Stack, raw: &str) -> Result<&'a FunctionView> {
    let found = stack.functions.iter().find(|f| f.logical_id == raw || f.name == raw);
    found.ok_or(Error::NotFound("function"))
}
