//! A job from the side of the worker that runs it.

use cloud::limits::{LOG_BATCH_EVENTS_MAX, LOG_BATCH_MAX, LOG_EVENT_MAX};
use cloud::{Expect, LogEvent, Write};
use identity::ProjectId;
use serde_json::{Value, json};

use super::record::HeldLease;
use super::{
    ATTEMPTS_MAX, Job, JobRecord, JobState, Jobs, LEASE, LOG_RETENTION_DAYS, Progress, RESULT_BYTES_MAX, log_group,
};
use crate::events::NewEvent;
use crate::{Error, JobId, LeaseId, Result, keys, usage};

/// Bytes that CloudWatch counts for an event on top of its message.
const LOG_EVENT_OVERHEAD: usize = 26;

/// The right to run a job, for as long as heartbeats keep it.
#[derive(Clone, Debug)]
pub struct Lease {
    pub project: ProjectId,
    pub job: JobId,
    pub id: LeaseId,
    /// Counted from 1.
    pub attempt: u32,
}

/// What `start` found.
#[derive(Clone, Debug)]
pub enum Started {
    /// The job is yours: run it and finish it.
    Run(Box<Job>, Lease),
    /// It has a final state: acknowledge the message and do nothing.
    Finished(Box<Job>),
    /// Another worker is at it: acknowledge the message and do nothing. If that worker dies the sweep sends another.
    Busy,
}

/// What a heartbeat tells the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseState {
    Held,
    /// Someone asked for the job's end: stop, and finish as [`Outcome::Cancelled`].
    CancelRequested,
    /// Another worker has the job, or it is over: stop, and write nothing more.
    Lost,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Succeeded { result: Value },
    Failed { error: String, result: Value },
    Cancelled,
    TimedOut,
}

impl Jobs {
    /// Takes the job for one attempt. The second delivery of a message finds it leased or finished. A job whose
    /// worker died is taken over when its lease has run out; after [`ATTEMPTS_MAX`] deaths it fails.
    pub async fn start(&self, project: &ProjectId, job: &JobId) -> Result<Started> {
        let lease = super::new_lease(&self.core)?;
        let author = self.stored(project, job).await?.value.author;
        let taken = self
            .change(project, job, &author, |record, now| {
                if record.state.is_final() || record.is_leased_at(now) {
                    return None;
                }
                if record.cancel_requested {
                    record.end(JobState::Cancelled, now);
                } else if record.attempt >= ATTEMPTS_MAX {
                    record.error =
                        Some(format!("The job was started {ATTEMPTS_MAX} times and its worker stopped each time."));
                    record.end(JobState::Failed, now);
                } else {
                    record.attempt += 1;
                    record.state = JobState::Running;
                    record.started.get_or_insert(now);
                    record.lease = Some(HeldLease { id: lease.clone(), until: now.plus(LEASE) });
                }
                Some(NewEvent::new("job.updated", record.resource(), record.summary()).unaudited())
            })
            .await?;
        if taken.state.is_final() {
            return Ok(Started::Finished(Box::new(taken)));
        }
        let now = self.stored(project, job).await?.value;
        if !now.is_leased_by(&lease) {
            return Ok(Started::Busy);
        }
        self.core.ports.logs.ensure_group(&log_group(project), Some(LOG_RETENTION_DAYS)).await?;
        let attempt = taken.attempt;
        Ok(Started::Run(Box::new(taken), Lease { project: project.clone(), job: job.clone(), id: lease, attempt }))
    }

    /// Whether the worker should go on; cheap enough to ask twice a second.
    pub async fn is_cancelled(&self, lease: &Lease) -> Result<bool> {
        Ok(self.state_of(&self.stored(&lease.project, &lease.job).await?.value, lease) != LeaseState::Held)
    }

    /// Keeps the lease for [`LEASE`] from now. Writes only when a third of it is used up.
    pub async fn heartbeat(&self, lease: &Lease) -> Result<LeaseState> {
        let stored = self.stored(&lease.project, &lease.job).await?;
        let mut record = stored.value;
        let state = self.state_of(&record, lease);
        let now = self.core.ports.clock.now();
        let left = record.lease.as_ref().map(|held| held.until.since(now)).unwrap_or_default();
        if state == LeaseState::Lost || left > LEASE * 2 / 3 {
            return Ok(state);
        }
        record.lease = Some(HeldLease { id: lease.id.clone(), until: now.plus(LEASE) });
        let key = keys::job(&lease.project, &lease.job);
        let write = Write::put(key, json!(record), Expect::At(stored.version));
        match self.core.ports.records.transact(vec![write]).await {
            // Someone changed the job in between; the next heartbeat, soon, sees how.
            Err(error) if error.is_condition_failed() => Ok(state),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(state),
        }
    }

    /// Keeps what the next worker would want to know, should this one stop. Small: it is a part of the job's record.
    pub async fn checkpoint(&self, lease: &Lease, checkpoint: Value) -> Result<()> {
        self.keep(lease, |record| record.checkpoint = checkpoint.clone()).await.map(drop)
    }

    /// Lets another worker go on with the job at once, from `checkpoint`. That is no attempt that failed.
    pub async fn hand_over(&self, lease: &Lease, checkpoint: Value) -> Result<()> {
        let now = self.core.ports.clock.now();
        let kept = self.keep(lease, |record| {
            record.checkpoint = checkpoint.clone();
            record.attempt = record.attempt.saturating_sub(1);
            record.lease = None;
            // If the message does not leave, the sweep sends one.
            record.sent = Some(now);
        });
        if !kept.await? {
            return Ok(());
        }
        let author = self.stored(&lease.project, &lease.job).await?.value.author;
        self.send(&lease.project, &lease.job, &author, None).await
    }

    /// Changes what only workers care about, without an event, as long as the lease is held; whether it was.
    async fn keep(&self, lease: &Lease, change: impl Fn(&mut JobRecord)) -> Result<bool> {
        for _ in 0..super::CHANGE_ATTEMPTS {
            let stored = self.stored(&lease.project, &lease.job).await?;
            let mut record = stored.value;
            if record.state.is_final() || !record.is_leased_by(&lease.id) {
                return Ok(false);
            }
            change(&mut record);
            let key = keys::job(&lease.project, &lease.job);
            let write = Write::put(key, json!(record), Expect::At(stored.version));
            match self.core.ports.records.transact(vec![write]).await {
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(true),
            }
        }
        Err(Error::Unavailable("The job"))
    }

    fn state_of(&self, record: &JobRecord, lease: &Lease) -> LeaseState {
        if record.state.is_final() || !record.is_leased_by(&lease.id) {
            LeaseState::Lost
        } else if record.cancel_requested {
            LeaseState::CancelRequested
        } else {
            LeaseState::Held
        }
    }

    /// Tells how far the job is; an event that everyone who watches gets.
    pub async fn progress(&self, lease: &Lease, progress: Progress) -> Result<()> {
        let author = self.stored(&lease.project, &lease.job).await?.value.author;
        self.change(&lease.project, &lease.job, &author, |record, _| {
            if !record.is_leased_by(&lease.id) || record.progress == progress {
                return None;
            }
            record.progress = progress.clone();
            Some(NewEvent::new("job.updated", record.resource(), record.summary()).unaudited())
        })
        .await
        .map(drop)
    }

    /// Appends lines to the job's log, in order. A line over 256 KiB is cut.
    pub async fn log(&self, lease: &Lease, lines: &[String]) -> Result<()> {
        let at = self.core.ports.clock.now();
        let group = log_group(&lease.project);
        let mut batch = Vec::new();
        let mut bytes = 0;
        for line in lines {
            let message = cut(line, LOG_EVENT_MAX - LOG_EVENT_OVERHEAD).to_owned();
            let size = message.len() + LOG_EVENT_OVERHEAD;
            if !batch.is_empty() && (batch.len() == LOG_BATCH_EVENTS_MAX || bytes + size > LOG_BATCH_MAX) {
                self.core.ports.logs.append(&group, lease.job.as_str(), std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += size;
            batch.push(LogEvent { at, message });
        }
        if !batch.is_empty() {
            self.core.ports.logs.append(&group, lease.job.as_str(), batch).await?;
        }
        Ok(())
    }

    /// Gives the job its final state. When it has one already, or another worker holds it, that stays and
    /// `Error::Conflict` says so. A job that was asked to end and did not succeed is cancelled.
    pub async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<Job> {
        self.finish_with(lease, outcome, Vec::new(), Vec::new()).await
    }

    /// As `finish`, with writes and events that happen exactly when the job ends this way.
    pub(crate) async fn finish_with(
        &self,
        lease: &Lease,
        outcome: Outcome,
        also: Vec<Write>,
        events: Vec<NewEvent>,
    ) -> Result<Job> {
        for _ in 0..super::CHANGE_ATTEMPTS {
            let stored = self.stored(&lease.project, &lease.job).await?;
            let mut record = stored.value;
            if record.state.is_final() || !record.is_leased_by(&lease.id) {
                return Err(Error::conflict("The job is no longer this worker's."));
            }
            apply(&mut record, outcome.clone(), self.core.ports.clock.now());
            let author = record.author.clone();
            let counted = usage::job_write(&self.core, &record).await?;
            let mut writes = record.index_writes(true);
            let counter = counted.key().to_string();
            writes.push(counted);
            writes.push(Write::put(keys::job(&lease.project, &lease.job), json!(record), Expect::At(stored.version)));
            let mut told = events.clone();
            told.push(NewEvent::new("job.updated", record.resource(), record.summary()));
            if matches!(outcome, Outcome::Succeeded { .. }) {
                writes.extend(also.iter().cloned());
            }
            let own = keys::job(&lease.project, &lease.job).to_string();
            match self.core.journal.commit(&lease.project, &author, &told, writes).await {
                Err(cloud::Error::ConditionFailed { key, .. }) if key == own || key == counter => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(record.view()),
            }
        }
        Err(Error::Unavailable("The job"))
    }
}

fn apply(record: &mut JobRecord, outcome: Outcome, now: cloud::Millis) {
    match outcome {
        Outcome::Succeeded { result } if result.to_string().len() > RESULT_BYTES_MAX => {
            record.error = Some("The job's result is too large to keep.".into());
            record.end(JobState::Failed, now);
        }
        Outcome::Succeeded { result } => {
            record.result = result;
            record.end(JobState::Succeeded, now);
        }
        Outcome::Failed { .. } | Outcome::Cancelled | Outcome::TimedOut if record.cancel_requested => {
            record.end(JobState::Cancelled, now);
        }
        Outcome::Failed { error, result } => {
            record.error = Some(cut(&error, 16 * 1024).to_owned());
            if result.to_string().len() <= RESULT_BYTES_MAX {
                record.result = result;
            }
            record.end(JobState::Failed, now);
        }
        Outcome::Cancelled => record.end(JobState::Cancelled, now),
        Outcome::TimedOut => {
            record.error = Some("The job ran out of time.".into());
            record.end(JobState::TimedOut, now);
        }
    }
}

/// The longest start of `text` of at most `most` bytes that ends between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
