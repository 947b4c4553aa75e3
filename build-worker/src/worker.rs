//! Takes jobs from the queue and brings each to exactly one final state.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::{StackName, Stacks};
use domain::{
    CompactMessage, Domain, HEARTBEAT, Job, JobKind, JobMessage, Lease, LeaseState, Outcome, Progress, Started,
};
use function::metrics;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::build::{Build, Output, cache};
use crate::importing::ImportSettings;
use crate::log::JobLog;
use crate::{building, deploying, importing};

/// What the worker works with.
pub struct Worker {
    pub domain: Arc<Domain>,
    /// `Err` says why users' code cannot be run here.
    pub builder: Result<Arc<dyn Build>, String>,
    /// A folder for checkouts and packages.
    pub work: PathBuf,
    /// Longest run of one job; shorter than the function's own timeout.
    pub job_max: Duration,
    /// Where imports may come from.
    pub imports: ImportSettings,
}

/// Why a job's own work stopped.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The author of the app can do something about it.
    #[error("{error}")]
    Failed { error: String, result: Value },
    /// The platform could not; the message comes again.
    #[error(transparent)]
    Platform(#[from] domain::Error),
    #[error("the job was asked to end")]
    Cancelled,
}

impl Stop {
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed { error: error.to_string(), result: Value::Null }
    }
}

/// Everything that one run of a job needs.
pub(crate) struct Run<'a> {
    pub worker: &'a Worker,
    pub job: &'a Job,
    pub lease: &'a Lease,
    /// From the job's message.
    pub key: Option<&'a str>,
    pub output: Output,
    /// The change of a stack that this run follows, once there is one.
    pub applying: Mutex<Option<Applying>>,
}

/// A change of a stack, which goes on without us and can be followed by another worker.
#[derive(Clone)]
pub(crate) struct Applying {
    pub stacks: Arc<dyn Stacks>,
    pub stack: StackName,
    /// What the next worker has to know.
    pub checkpoint: Value,
}

impl Run<'_> {
    /// Names this attempt among all others.
    pub fn id(&self) -> String {
        format!("{}/{}-{}", self.lease.project, self.job.id, self.lease.id)
    }

    /// A line for people in the job's log.
    pub async fn say(&self, line: impl Into<String>) {
        self.output.line(line).await;
    }

    pub async fn progress(&self, phase: &str, done: u32, total: Option<u32>, message: impl Into<String>) {
        let progress = Progress { phase: phase.into(), done, total, message: message.into() };
        if let Err(error) = self.worker.domain.jobs.progress(self.lease, progress).await {
            tracing::warn!(%error, job = %self.job.id, "progress was not told");
        }
    }
}

/// Answers an event: an SQS batch of job messages, or the schedule that looks after open jobs.
pub async fn handle(worker: &Worker, event: Value) -> Value {
    if event["source"] == "aws.events" {
        match worker.domain.jobs.sweep().await {
            Ok(swept) => tracing::debug!(?swept, "open jobs were looked after"),
            Err(error) => tracing::error!(%error, "open jobs could not be looked after"),
        }
        return json!({});
    }
    let mut failures = Vec::new();
    for record in event["Records"].as_array().into_iter().flatten() {
        let id = record["messageId"].as_str().unwrap_or_default();
        let body = record["body"].as_str().unwrap_or_default();
        if let Ok(message) = serde_json::from_str::<CompactMessage>(body) {
            if !worker.compact(&message, id).await {
                failures.push(json!({ "itemIdentifier": id }));
            }
            continue;
        }
        let message: JobMessage = match serde_json::from_str(body) {
            Ok(message) => message,
            Err(error) => {
                // It will not read better the next time.
                tracing::error!(%error, id, "a job message could not be read");
                continue;
            }
        };
        let span = tracing::info_span!(
            "job", request_id = id, correlation_id = message.correlation_id, area = "build-worker", job = %message.job
        );
        async {
            if let Err(error) = worker.take(&message).await {
                tracing::error!(%error, "a job could not be run");
                failures.push(json!({ "itemIdentifier": id }));
            }
        }
        .instrument(span)
        .await;
    }
    json!({ "batchItemFailures": failures })
}

impl Worker {
    /// Compacts a repository; `false` when the message is to come again.
    async fn compact(&self, message: &CompactMessage, id: &str) -> bool {
        let CompactMessage { compact: project, correlation_id } = message;
        let span = tracing::info_span!("compaction", request_id = id, correlation_id, area = "build-worker", %project);
        async {
            match self.domain.maintenance.compact(project).await {
                Ok(done) => tracing::info!(?done, "a repository was compacted"),
                Err(error) => {
                    tracing::error!(%error, "a repository could not be compacted");
                    return false;
                }
            }
            true
        }
        .instrument(span)
        .await
    }

    async fn take(&self, message: &JobMessage) -> domain::Result<()> {
        match self.domain.jobs.start(&message.project, &message.job).await {
            Ok(Started::Run(job, lease)) => self.measured(&job, &lease, message).await,
            // Delivered twice, cancelled before it began, or at another worker.
            Ok(Started::Finished(job)) => self.forget(&job).await,
            Ok(Started::Busy) => Ok(()),
            Err(domain::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs a job, and writes how it went.
    async fn measured(&self, job: &Job, lease: &Lease, message: &JobMessage) -> domain::Result<()> {
        let correlation_id = message.correlation_id.as_str();
        let kind = job.kind.as_str();
        let waited = job.started.filter(|_| lease.attempt == 1).map(|started| started.since(job.created));
        let waited = waited.map(|waited| u64::try_from(waited.as_millis()).unwrap_or(u64::MAX));
        metrics::begun(kind, waited, correlation_id);
        let from = tokio::time::Instant::now();
        let ended = self.run(job, lease, message.key.as_deref()).await;
        let ms = u64::try_from(from.elapsed().as_millis()).unwrap_or(u64::MAX);
        let state = self.domain.jobs.find(&job.project, &job.id).await.map(|job| job.state);
        let outcome = match state {
            Ok(state) if ended.is_ok() && state.is_final() => state.as_str(),
            _ => "again",
        };
        tracing::info!(kind, outcome, ms, "job ended");
        metrics::ran(&metrics::Ran { kind, outcome, ms, correlation_id });
        ended
    }

    /// Runs a job under its lease, and ends it.
    async fn run(&self, job: &Job, lease: &Lease, key: Option<&str>) -> domain::Result<()> {
        tracing::info!(project = %job.project, kind = job.kind.as_str(), attempt = lease.attempt, "job begins");
        let cancel = CancellationToken::new();
        let mask = self.builder.as_ref().map(|builder| builder.mask()).unwrap_or_default();
        let (log, lines) = JobLog::start(self.domain.clone(), lease.clone(), mask);
        let output = Output { lines, stop: cancel.clone() };
        let run = Run { worker: self, job, lease, key, output, applying: Mutex::new(None) };
        let (ended, dropped) = tokio::select! {
            // Boxed: a deploy is a deep future.
            ended = Box::pin(self.work(&run)) => (ended, false),
            ended = self.watch(&run, &cancel) => (ended, true),
        };
        if let (true, Ok(builder)) = (dropped, &self.builder)
            && matches!(job.kind, JobKind::Build | JobKind::Deploy { .. })
            && run.applying().is_none()
        {
            builder.abandon(&run.id()).await;
        }
        if matches!(ended, Ended::As(Outcome::Cancelled)) {
            run.undo().await;
        }
        drop(run);
        log.finish().await;
        self.end(lease, ended).await?;
        if job.kind != JobKind::Import {
            return Ok(());
        }
        let job = self.domain.jobs.find(&job.project, &job.id).await?;
        if job.state.is_final() { self.forget(&job).await } else { Ok(()) }
    }

    /// Removes what a job was trusted with, once it has ended.
    async fn forget(&self, job: &Job) -> domain::Result<()> {
        match job.kind {
            JobKind::Import => self.domain.imports.forget(&job.project, &job.id).await,
            _ => Ok(()),
        }
    }

    async fn work(&self, run: &Run<'_>) -> Ended {
        if run.job.kind == JobKind::Purge
            && let Err(error) = cache::forget(self.domain.blobs(), run.job.project.as_str()).await
        {
            return Ended::Again(error.into());
        }
        if let Some(done) = self.domain.perform(run.job, run.lease).await {
            return match done {
                Ok(_) => Ended::Already,
                Err(error) => Ended::from_platform(error),
            };
        }
        let outcome = match &run.job.kind {
            JobKind::Deploy { environment, what } => deploying::deploy(run, environment, what).await,
            JobKind::Import => importing::import(run).await.map(Some),
            _ => building::build(run).await.map(Some),
        };
        match outcome {
            Ok(Some(result)) => Ended::As(Outcome::Succeeded { result }),
            Ok(None) => Ended::Already,
            Err(Stop::Failed { error, result }) => {
                run.say(format!("failed: {error}")).await;
                Ended::As(Outcome::Failed { error, result })
            }
            Err(Stop::Cancelled) => Ended::As(Outcome::Cancelled),
            Err(Stop::Platform(error)) => Ended::from_platform(error),
        }
    }

    /// Keeps the lease, and ends the run when it is asked to end, lost, or too long. Dropping the run ends its
    /// processes: a sandbox does not outlive its handle.
    async fn watch(&self, run: &Run<'_>, cancel: &CancellationToken) -> Ended {
        let lease = run.lease;
        let deadline = tokio::time::Instant::now() + self.job_max;
        let ended = loop {
            tokio::time::sleep(HEARTBEAT).await;
            if tokio::time::Instant::now() >= deadline {
                break run.out_of_time();
            }
            match self.domain.jobs.heartbeat(lease).await {
                Ok(LeaseState::Held) => {}
                Ok(LeaseState::CancelRequested) => break Ended::As(Outcome::Cancelled),
                Ok(LeaseState::Lost) => break Ended::Already,
                Err(error) => tracing::warn!(%error, job = %lease.job, "a heartbeat failed"),
            }
        };
        cancel.cancel();
        ended
    }

    async fn end(&self, lease: &Lease, ended: Ended) -> domain::Result<()> {
        let outcome = match ended {
            Ended::Already => return Ok(()),
            Ended::Again(error) => return Err(error),
            Ended::Later(checkpoint) => return self.domain.jobs.hand_over(lease, checkpoint).await,
            Ended::As(outcome) => outcome,
        };
        match self.domain.jobs.finish(lease, outcome).await {
            // Someone else ended it: it has its one final state.
            Ok(_) | Err(domain::Error::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How a run came to its end.
enum Ended {
    As(Outcome),
    /// Another worker goes on from here: what was started runs on without us.
    Later(Value),
    /// The job's end is written, or is another worker's to write.
    Already,
    /// The platform failed: the message comes again.
    Again(domain::Error),
}

impl Run<'_> {
    /// From now on this run only follows what somebody else does.
    pub fn follow(&self, applying: Applying) {
        *self.applying.lock().unwrap_or_else(PoisonError::into_inner) = Some(applying);
    }

    /// What the next worker has to know, should this one run out of time.
    pub fn remember(&self, checkpoint: Value) {
        if let Some(applying) = &mut *self.applying.lock().unwrap_or_else(PoisonError::into_inner) {
            applying.checkpoint = checkpoint;
        }
    }

    fn applying(&self) -> Option<Applying> {
        self.applying.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A change of a stack outlives its worker; anything else has taken too long.
    fn out_of_time(&self) -> Ended {
        match (self.applying(), &self.job.kind) {
            (Some(applying), _) => Ended::Later(applying.checkpoint),
            (None, JobKind::Remove { .. }) => Ended::Later(Value::Null),
            (None, _) => Ended::As(Outcome::TimedOut),
        }
    }

    /// Asks for the version before the deploy that was cancelled.
    async fn undo(&self) {
        let Some(applying) = self.applying() else { return };
        self.say("cancelled: what the deploy has changed so far is rolled back").await;
        if let Err(error) = applying.stacks.cancel(&applying.stack, self.job.id.as_str()).await {
            tracing::warn!(%error, job = %self.job.id, "a cancelled deploy could not be stopped");
        }
    }
}

impl Ended {
    fn from_platform(error: domain::Error) -> Self {
        match error {
            domain::Error::Conflict(_) => Self::Already,
            domain::Error::NotFound(what) => {
                let error = format!("The {what} is gone.");
                Self::As(Outcome::Failed { error, result: Value::Null })
            }
            error => Self::Again(error),
        }
    }
}
