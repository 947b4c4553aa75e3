//! Environments: where a release of the project runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{
    Credentials, Expect, FunctionView, Invocation, Invoke, Millis, RangeQuery, Stack, StackName, UnsupportedItem, Write,
};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::{Core, Stored};
use crate::events::NewEvent;
use crate::jobs::{DeploySource, JobKind, JobState, Jobs, Lease, NewJob, Outcome};
use crate::projects::{Project, etag};
use crate::{Caller, EnvironmentName, Error, Expected, Job, JobId, Page, PageQuery, ReleaseId, Result, keys, stack};

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
    pub updated: Millis,
    pub etag: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EnvironmentRecord {
    v: u32,
    name: EnvironmentName,
    release: Option<ReleaseId>,
    commit: Option<String>,
    url: Option<String>,
    outputs: BTreeMap<String, String>,
    unsupported: Vec<UnsupportedItem>,
    job: Option<JobId>,
    updated: Millis,
}

impl EnvironmentRecord {
    fn view(self, project: &Project, version: &cloud::Version) -> Environment {
        Environment {
            protected: project.protected_environments.contains(&self.name),
            name: self.name,
            release: self.release,
            commit: self.commit,
            url: self.url,
            outputs: self.outputs,
            unsupported: self.unsupported,
            job: self.job,
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
#[derive(Clone, Debug)]
pub struct DeployTarget {
    pub stack: StackName,
    /// The first label of the site's host.
    pub host_label: String,
    pub project_slug: String,
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
            if names(&self.core, project).await?.len() >= ENVIRONMENTS_MAX {
                return Err(Error::Quota(format!("A project has at most {ENVIRONMENTS_MAX} environments.").into()));
            }
            return Ok(Write::put(key, json!(self.fresh(name, job)), Expect::Absent));
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

    fn fresh(&self, name: &EnvironmentName, job: &JobId) -> EnvironmentRecord {
        EnvironmentRecord {
            v: 1,
            name: name.clone(),
            release: None,
            commit: None,
            url: None,
            outputs: BTreeMap::new(),
            unsupported: Vec::new(),
            job: Some(job.clone()),
            updated: self.core.ports.clock.now(),
        }
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
        Ok(self.running(&project, name).await?.1.functions)
    }

    /// The stack of an environment; `Error::NotFound` when nothing runs there.
    pub(crate) async fn running(&self, project: &Project, name: &str) -> Result<(StackName, Stack)> {
        let stored = self.stored(&project.id, name).await?;
        let stack = stack::stack_name(&project.slug, &stored.value.name)?;
        let found = self.core.ports.stacks.describe(&stack).await?;
        Ok((stack, found.ok_or(Error::NotFound("environment"))?))
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
        let (stack, running) = self.running(&project, name).await?;
        let function = find_function(&running, function)?.logical_id.clone();
        let payload = self.payload(&project, event).await?;
        if payload.len() > FUNCTION_PAYLOAD_MAX {
            return Err(Error::TooLarge(format!("An event has at most {FUNCTION_PAYLOAD_MAX} bytes.").into()));
        }
        match self.core.ports.stacks.invoke(Invoke { stack, function, payload }).await {
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
        let (stack, _) = self.running(&project, name).await?;
        let keys = self.core.ports.stacks.credentials(&stack, CREDENTIALS_LIFE).await?;
        let event = NewEvent::new("environment.credentials_issued", format!("environment/{name}"), json!({}));
        self.core.commit(&project.id, caller, &[event], Vec::new()).await?;
        Ok(keys)
    }

    /// For the worker: where a deploy job goes.
    pub async fn target(&self, lease: &Lease, name: &EnvironmentName) -> Result<DeployTarget> {
        let stored = self.core.read::<crate::projects::ProjectRecord>(&keys::project(&lease.project)).await?;
        let project = stored.filter(|s| !s.value.deleted).ok_or(Error::NotFound("project"))?.value;
        Ok(DeployTarget {
            stack: stack::stack_name(&project.slug, name)?,
            host_label: stack::host_label(&project.slug, name),
            project_slug: project.slug.to_string(),
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
        let target = self.target(lease, name).await?;
        self.core.ports.stacks.delete(&target.stack).await?;
        let write = Write::Delete { key: keys::environment(&lease.project, name), expect: Expect::Anything };
        let event = NewEvent::new("environment.removed", format!("environment/{name}"), json!({ "environment": name }));
        let jobs = Jobs::new(self.core.clone());
        jobs.finish_with(lease, Outcome::Succeeded { result: json!({}) }, vec![write], vec![event]).await
    }
}

/// The function with this logical id or physical name.
pub(crate) fn find_function<'a>(stack: &'a Stack, raw: &str) -> Result<&'a FunctionView> {
    let found = stack.functions.iter().find(|f| f.logical_id == raw || f.name == raw);
    found.ok_or(Error::NotFound("function"))
}
