//! Jobs: long work with one final state.
//!
//! **Invariant**: a job gets exactly one final state, however often its message is delivered and however many
//! workers die. Only the holder of the current lease may finish it; cancellation of a queued job, the end of all
//! attempts and the sweep finish it without one.

mod record;
mod sweep;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use cloud::{Expect, Millis, RangeQuery, Secret, SendMessage, Write};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use record::JobRecord;
pub use sweep::Swept;
pub use worker::{Lease, LeaseState, Outcome, Started};

use crate::core::{Core, Stored};
use crate::events::{Author, NewEvent};
use crate::{Caller, EnvironmentName, Error, JobId, LeaseId, Page, PageQuery, Result, keys, usage};

/// A lease is good for this long without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(60);
/// How often a worker should send a heartbeat, and look whether the job is cancelled.
pub const HEARTBEAT: Duration = Duration::from_millis(500);
/// A job is given up after this many workers died on it.
pub const ATTEMPTS_MAX: u32 = 3;
/// A job is ended after this, whatever it is doing (a worker function runs 15 minutes at most).
pub const JOB_LIFE: Duration = Duration::from_secs(60 * 60);
/// A change of a stack is gone on with by one worker after another for this long: CloudFormation takes its time for a
/// distribution or a database.
pub const STACK_JOB_LIFE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long a job is in the list of all jobs; in its project's it stays.
const LISTED_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// Jobs that one request for all jobs looks at.
const SCANNED_MAX: usize = 500;
/// How long job logs are kept.
const LOG_RETENTION_DAYS: u32 = 30;
/// The stored result of a job (bytes of JSON).
pub const RESULT_BYTES_MAX: usize = 256 * 1024;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum JobKind {
    /// Turns a commit into artifacts.
    Build,
    /// Makes a commit, build or release serve in an environment.
    Deploy { environment: EnvironmentName, what: DeploySource },
    /// Removes an environment with everything it holds.
    Remove { environment: EnvironmentName },
    /// Brings the repository of the project from elsewhere.
    Import,
    /// Removes what a deleted project leaves behind.
    Purge,
}

impl JobKind {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Deploy { .. } => "deploy",
            Self::Remove { .. } => "remove",
            Self::Import => "import",
            Self::Purge => "purge",
        }
    }

    /// How long a job of this kind may take in all.
    pub fn life(&self) -> Duration {
        match self {
            Self::Deploy { .. } | Self::Remove { .. } => STACK_JOB_LIFE,
            Self::Build | Self::Import | Self::Purge => JOB_LIFE,
        }
    }

    pub fn environment(&self) -> Option<&EnvironmentName> {
        match self {
            Self::Deploy { environment, .. } | Self::Remove { environment } => Some(environment),
            Self::Build | Self::Import | Self::Purge => None,
        }
    }
}

/// What a deploy starts from. `Job::commit` is set for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploySource {
    /// The build of `Job::commit`, made if there is none.
    Commit,
    /// The artifacts of this build.
    Build(JobId),
    /// An earlier release, as it is.
    Release(crate::ReleaseId),
}

/// Where a job is; the last four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    TimedOut,
}

impl JobState {
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }

    /// Reads what `as_str` writes.
    pub fn parse(raw: &str) -> Result<Self> {
        [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled, Self::TimedOut]
            .into_iter()
            .find(|state| state.as_str() == raw)
            .ok_or_else(|| {
                Error::invalid("state", "A state is queued, running, succeeded, failed, cancelled or timed_out.")
            })
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

/// How far a running job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// `checkout`, `build`, `deploy`, …
    pub phase: String,
    /// Steps done, and steps in all when known.
    pub done: u32,
    pub total: Option<u32>,
    /// One line for people.
    pub message: String,
}

/// A job as everyone sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub project: ProjectId,
    pub kind: JobKind,
    pub state: JobState,
    /// Which worker is at it, counted from 1; 0 while queued.
    pub attempt: u32,
    pub requested_by: String,
    /// As the caller named it.
    pub reference: Option<String>,
    /// The commit that it resolved to, 40 hex digits.
    pub commit: Option<String>,
    pub progress: Progress,
    /// What came out; `null` before the end.
    pub result: Value,
    /// Why it failed, for people.
    pub error: Option<String>,
    pub cancel_requested: bool,
    /// What its last worker left for the next; `null` at first.
    pub checkpoint: Value,
    pub created: Millis,
    pub started: Option<Millis>,
    pub finished: Option<Millis>,
}

/// A job about to be created.
#[derive(Clone, Debug)]
pub(crate) struct NewJob {
    /// From [`Jobs::new_id`].
    pub id: JobId,
    pub kind: JobKind,
    pub reference: Option<String>,
    pub commit: Option<String>,
}

/// Creates, shows, runs and ends jobs.
#[derive(Clone)]
pub struct Jobs {
    core: Arc<Core>,
}

impl Jobs {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Starts a build of the commit that `reference` names (the default branch when `None`).
    pub async fn build(&self, caller: &Caller, project: &str, reference: Option<&str>) -> Result<Job> {
        let project = self.core.project(caller, project, Permission::Build).await?;
        let commit = crate::repository::resolve(&self.core, &project.id, reference.unwrap_or("HEAD")).await?;
        let job = NewJob {
            id: self.new_id()?,
            kind: JobKind::Build,
            reference: reference.map(str::to_owned),
            commit: Some(commit.to_string()),
        };
        self.create(caller, &project.id, job, Vec::new()).await
    }

    pub async fn get(&self, caller: &Caller, project: &str, job: &str) -> Result<Job> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let job = JobId::parse(job).map_err(|_| Error::NotFound("job"))?;
        self.find(&project.id, &job).await
    }

    /// The project's jobs, newest first.
    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<Job>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = query.after(keys::JOB, crate::ids::is_ulid)?;
        let range = RangeQuery {
            partition: keys::partition(&project.id),
            prefix: keys::JOB.into(),
            after,
            descending: true,
            limit: query.limit(),
        };
        let page = self.core.ports.records.query(range).await?;
        let jobs = page.records.iter().map(|record| crate::core::decode::<JobRecord>(record).map(JobRecord::view));
        let items = jobs.collect::<Result<_>>()?;
        Ok(Page { items, next: page.next.map(|sort| sort.trim_start_matches(keys::JOB).to_owned()) })
    }

    /// The jobs of all projects of the last months, newest first, or of one; for platform admins. A page may be short and
    /// have a next one.
    pub async fn list_all(
        &self,
        caller: &Caller,
        state: Option<JobState>,
        project: Option<&str>,
        query: &PageQuery,
    ) -> Result<Page<Job>> {
        usage::require_admin(caller)?;
        let wanted = match project {
            Some(raw) => Some(self.core.named_project(raw).await?.ok_or(Error::NotFound("project"))?),
            None => None,
        };
        let mut after = query.after("", crate::ids::is_ulid)?;
        let (mut items, mut looked) = (Vec::new(), 0);
        loop {
            let (partition, limit) = (keys::JOBS.into(), query.limit());
            let range = RangeQuery { partition, prefix: String::new(), after: after.take(), descending: true, limit };
            let page = self.core.ports.records.query(range).await?;
            for listed in page.records {
                looked += 1;
                let id = listed.key.sort;
                let of = ProjectId::parse(listed.value["project"].as_str().unwrap_or_default());
                if let (Ok(of), Ok(job)) = (of, JobId::parse(id.as_str()))
                    && wanted.as_ref().is_none_or(|wanted| *wanted == of)
                    && let Some(stored) = self.core.read::<JobRecord>(&keys::job(&of, &job)).await?
                    && state.is_none_or(|state| stored.value.state == state)
                {
                    items.push(stored.value.view());
                }
                if items.len() == limit || looked >= SCANNED_MAX {
                    return Ok(Page { items, next: Some(id) });
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(Page { items, next: None }),
            }
        }
    }

    /// Asks for the end of a job. One that waits is cancelled at once; one that runs is told, and its worker ends it.
    /// A job with a final state keeps it.
    pub async fn cancel(&self, caller: &Caller, project: &str, job: &str) -> Result<Job> {
        let id = JobId::parse(job).map_err(|_| Error::NotFound("job"));
        let project = self.core.project(caller, project, Permission::Build).await?;
        let id = id?;
        let found = self.find(&project.id, &id).await?;
        if matches!(found.kind, JobKind::Purge) {
            return Err(Error::conflict("A purge cannot be cancelled."));
        }
        self.change(&project.id, &id, &Author::of(caller), |record, now| {
            if record.state.is_final() || record.cancel_requested {
                return None;
            }
            record.cancel_requested = true;
            if record.state == JobState::Queued {
                record.end(JobState::Cancelled, now);
            }
            Some(NewEvent::new("job.updated", record.resource(), record.summary()))
        })
        .await
    }

    /// Who asked for a job.
    pub(crate) async fn author(&self, project: &ProjectId, job: &JobId) -> Result<Author> {
        Ok(self.stored(project, job).await?.value.author)
    }

    /// For the platform itself: a job by its id.
    pub async fn find(&self, project: &ProjectId, job: &JobId) -> Result<Job> {
        self.stored(project, job).await.map(|stored| stored.value.view())
    }

    async fn stored(&self, project: &ProjectId, job: &JobId) -> Result<Stored<JobRecord>> {
        self.core.read(&keys::job(project, job)).await?.ok_or(Error::NotFound("job"))
    }

    /// Writes the job, its event and `also` in one transaction, then sends the message. A message that cannot be
    /// sent now is sent by the event's consumer or by the sweep.
    pub(crate) async fn create(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewJob,
        also: Vec<Write>,
    ) -> Result<Job> {
        self.create_with_key(caller, project, new, also, None).await
    }

    /// As `create`, with a key that only the job's message carries.
    pub(crate) async fn create_with_key(
        &self,
        caller: &Caller,
        project: &ProjectId,
        new: NewJob,
        also: Vec<Write>,
        key: Option<Secret>,
    ) -> Result<Job> {
        if new.kind != JobKind::Purge {
            self.refuse_too_many(project).await?;
        }
        let now = self.core.ports.clock.now();
        let id = new.id.clone();
        let record = JobRecord::queued(project.clone(), new, Author::of(caller), now);
        let open = json!({ "project": project, "job": id, "kind": record.kind.as_str() });
        let mut writes = vec![
            Write::put(keys::job(project, &id), json!(record), Expect::Absent),
            Write::put(keys::open_job(&id), open, Expect::Absent),
            Write::Put {
                key: keys::listed_job(&id),
                value: json!({ "project": project }),
                expect: Expect::Absent,
                expires: Some(now.plus(LISTED_LIFE)),
            },
        ];
        writes.extend(also);
        let event = NewEvent::new("job.created", record.resource(), record.summary());
        let made = self.core.commit(project, caller, &[event], writes).await;
        made.map_err(|error| match error.is_condition_failed() {
            true => Error::conflict("Something else changed this at the same moment; look again."),
            false => error.into(),
        })?;
        if let Err(error) = self.send_once(project, &id, key).await {
            tracing::warn!(job = %id, %error, "the job's message will be sent later");
        }
        Ok(record.view())
    }

    pub(crate) fn new_id(&self) -> Result<JobId> {
        JobId::parse(self.core.ulid())
    }

    async fn refuse_too_many(&self, project: &ProjectId) -> Result<()> {
        let most = usage::open_jobs_allowed(&self.core, project).await?;
        let mut open = 0;
        let mut after = None;
        loop {
            let range = RangeQuery { partition: keys::OPEN_JOBS.into(), after, limit: 500, ..RangeQuery::default() };
            let page = self.core.ports.records.query(range).await?;
            open += page
                .records
                .iter()
                .filter(|r| r.value["project"] == project.as_str() && r.value["kind"] != "purge")
                .count();
            if open >= most {
                return Err(Error::Quota(format!("The project has {most} open jobs; wait for one to end.").into()));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Sends the message of a job that nobody has been told about; does nothing for any other.
    pub async fn ensure_sent(&self, project: &ProjectId, job: &JobId) -> Result<()> {
        self.send_once(project, job, None).await
    }

    async fn send_once(&self, project: &ProjectId, job: &JobId, key: Option<Secret>) -> Result<()> {
        let stored = self.stored(project, job).await?;
        if stored.value.sent.is_some() || stored.value.state != JobState::Queued {
            return Ok(());
        }
        self.send(project, job, &stored.value.author, key).await?;
        let mut record = stored.value;
        record.sent = Some(self.core.ports.clock.now());
        let write = Write::put(keys::job(project, job), json!(record), Expect::At(stored.version));
        match self.core.ports.records.transact(vec![write]).await {
            Err(error) if !error.is_condition_failed() => Err(error.into()),
            // Lost to a worker that has the message already, or sent twice: a second message does nothing.
            _ => Ok(()),
        }
    }

    async fn send(&self, project: &ProjectId, job: &JobId, author: &Author, key: Option<Secret>) -> Result<()> {
        let key = key.map(|key| key.expose().to_owned());
        let correlation_id = author.correlation_id.clone();
        let body = JobMessage { project: project.clone(), job: job.clone(), correlation_id, key };
        let body = serde_json::to_string(&body).map_err(|e| Error::internal("writing a job message", e))?;
        self.core.ports.jobs_queue.send(SendMessage { body, delay: Duration::ZERO }).await?;
        Ok(())
    }

    /// Changes a job by compare-and-swap until it takes. `change` answers with the event, or `None` to leave the job.
    async fn change(
        &self,
        project: &ProjectId,
        job: &JobId,
        author: &Author,
        change: impl Fn(&mut JobRecord, Millis) -> Option<NewEvent>,
    ) -> Result<Job> {
        for _ in 0..CHANGE_ATTEMPTS {
            let stored = self.stored(project, job).await?;
            let was_open = !stored.value.state.is_final();
            let mut record = stored.value;
            let Some(event) = change(&mut record, self.core.ports.clock.now()) else { return Ok(record.view()) };
            let mut writes = vec![Write::put(keys::job(project, job), json!(record), Expect::At(stored.version))];
            writes.extend(record.index_writes(was_open));
            if was_open && record.state.is_final() {
                writes.push(usage::job_write(&self.core, &record).await?);
            }
            match self.core.journal.commit(project, author, &[event], writes).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(record.view()),
            }
        }
        Err(Error::Unavailable("The job"))
    }
}

/// How often a change of a job is tried again when someone else changed it in between.
const CHANGE_ATTEMPTS: usize = 20;

/// The body of a message in the job queue.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    pub project: ProjectId,
    pub job: JobId,
    /// Of the request that asked for the job; empty where it is not known.
    #[serde(default)]
    pub correlation_id: String,
    /// What opens the sealed record that belongs to the job, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The log group of a project's jobs; each job is a stream in it.
pub fn log_group(project: &ProjectId) -> String {
    format!("/workroom/jobs/{project}")
}

pub(crate) fn new_lease(core: &Core) -> Result<LeaseId> {
    LeaseId::parse(core.ulid())
}
