//! A job as it is stored.

use cloud::{Expect, Millis, Write};
use identity::ProjectId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Job, JobKind, JobState, NewJob, Progress};
use crate::events::Author;
use crate::{JobId, LeaseId, keys};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub v: u32,
    pub id: JobId,
    pub project: ProjectId,
    #[serde(flatten)]
    pub kind: JobKind,
    pub state: JobState,
    pub attempt: u32,
    pub author: Author,
    pub reference: Option<String>,
    pub commit: Option<String>,
    pub progress: Progress,
    pub result: Value,
    pub error: Option<String>,
    pub cancel_requested: bool,
    #[serde(default)]
    pub checkpoint: Value,
    pub created: Millis,
    pub started: Option<Millis>,
    pub finished: Option<Millis>,
    /// When its message was sent, if it was.
    pub sent: Option<Millis>,
    pub lease: Option<HeldLease>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldLease {
    pub id: LeaseId,
    pub until: Millis,
}

impl JobRecord {
    pub fn queued(project: ProjectId, new: NewJob, author: Author, now: Millis) -> Self {
        Self {
            v: 1,
            id: new.id,
            project,
            kind: new.kind,
            state: JobState::Queued,
            attempt: 0,
            author,
            reference: new.reference,
            commit: new.commit,
            progress: Progress::default(),
            result: Value::Null,
            error: None,
            cancel_requested: false,
            checkpoint: Value::Null,
            created: now,
            started: None,
            finished: None,
            sent: None,
            lease: None,
        }
    }

    pub fn view(self) -> Job {
        Job {
            id: self.id,
            project: self.project,
            kind: self.kind,
            state: self.state,
            attempt: self.attempt,
            requested_by: self.author.actor,
            reference: self.reference,
            commit: self.commit,
            progress: self.progress,
            result: self.result,
            error: self.error,
            cancel_requested: self.cancel_requested,
            checkpoint: self.checkpoint,
            created: self.created,
            started: self.started,
            finished: self.finished,
        }
    }

    pub fn resource(&self) -> String {
        format!("job/{}", self.id)
    }

    /// What an event tells of the job: everything small.
    pub fn summary(&self) -> Value {
        json!({
            "job": self.id,
            "kind": self.kind.as_str(),
            "environment": self.kind.environment(),
            "state": self.state,
            "attempt": self.attempt,
            "commit": self.commit,
            "progress": self.progress,
            "error": self.error,
        })
    }

    pub fn is_leased_at(&self, now: Millis) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }

    pub fn is_leased_by(&self, lease: &LeaseId) -> bool {
        self.lease.as_ref().is_some_and(|held| held.id == *lease)
    }

    /// Gives the final state.
    pub fn end(&mut self, state: JobState, now: Millis) {
        self.state = state;
        self.finished = Some(now);
        self.lease = None;
    }

    /// The writes that keep the list of open jobs true.
    pub fn index_writes(&self, was_open: bool) -> Vec<Write> {
        if was_open && self.state.is_final() {
            vec![Write::Delete { key: keys::open_job(&self.id), expect: Expect::Anything }]
        } else {
            Vec::new()
        }
    }
}
