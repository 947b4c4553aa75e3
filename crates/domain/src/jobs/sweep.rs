//! What keeps jobs from hanging: runs every few seconds on one machine, on a schedule on AWS.

use std::time::Duration;

use cloud::{Millis, RangeQuery};

use super::{JobMessage, JobRecord, JobState, Jobs};
use crate::events::NewEvent;
use crate::{Error, Result, keys};

/// A queued job's message is sent again after this: the first may have become a dead letter.
const RESEND: Duration = Duration::from_secs(120);
const SWEEP_PAGE: usize = 200;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub sent: usize,
    pub ended: usize,
}

impl Jobs {
    /// Looks at every open job: sends again what nobody took or what lost its worker, ends what is too old.
    pub async fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        for open in self.open().await? {
            if let Err(error) = self.look_after(&open, &mut swept).await {
                tracing::warn!(job = %open.job, %error, "a job could not be swept");
            }
        }
        Ok(swept)
    }

    /// For a process that owns all data and has just started: whoever held a lease is gone, so every running job can
    /// be taken again at once. Then sweeps.
    pub async fn take_over(&self) -> Result<Swept> {
        for open in self.open().await? {
            self.note(&open, |record| {
                record.lease = None;
                record.sent = None;
            })
            .await?;
        }
        self.sweep().await
    }

    /// Every job that has no final state yet.
    async fn open(&self) -> Result<Vec<JobMessage>> {
        let (mut open, mut after) = (Vec::new(), None);
        loop {
            let range =
                RangeQuery { partition: keys::OPEN_JOBS.into(), after, limit: SWEEP_PAGE, ..RangeQuery::default() };
            let page = self.core.ports.records.query(range).await?;
            for record in &page.records {
                open.push(crate::core::decode(record)?);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(open),
            }
        }
    }

    async fn look_after(&self, open: &JobMessage, swept: &mut Swept) -> Result<()> {
        let record = match self.stored(&open.project, &open.job).await {
            Err(Error::NotFound(_)) => return Ok(()),
            other => other?.value,
        };
        let now = self.core.ports.clock.now();
        if now.since(record.created) > record.kind.life() && !record.is_leased_at(now) {
            self.end_overdue(open, &record).await?;
            swept.ended += 1;
        } else if is_unattended(&record, now) {
            self.send(&open.project, &open.job, &record.author, None).await?;
            self.mark_sent(open).await?;
            swept.sent += 1;
        }
        Ok(())
    }

    async fn end_overdue(&self, open: &JobMessage, record: &JobRecord) -> Result<()> {
        self.change(&open.project, &open.job, &record.author, |record, now| {
            if record.state.is_final() || record.is_leased_at(now) {
                return None;
            }
            let state = if record.cancel_requested { JobState::Cancelled } else { JobState::TimedOut };
            record.error = Some("The job did not end in time.".into());
            record.end(state, now);
            Some(NewEvent::new("job.updated", record.resource(), record.summary()))
        })
        .await
        .map(drop)
    }

    async fn mark_sent(&self, open: &JobMessage) -> Result<()> {
        let now = self.core.ports.clock.now();
        self.note(open, |record| record.sent = Some(now)).await
    }

    /// Changes what only workers care about, without an event. Whoever changes the job meanwhile goes first.
    async fn note(&self, open: &JobMessage, change: impl FnOnce(&mut JobRecord)) -> Result<()> {
        let stored = match self.stored(&open.project, &open.job).await {
            Err(Error::NotFound(_)) => return Ok(()),
            other => other?,
        };
        let mut record = stored.value;
        change(&mut record);
        let key = keys::job(&open.project, &open.job);
        let write = cloud::Write::put(key, serde_json::json!(record), cloud::Expect::At(stored.version));
        match self.core.ports.records.transact(vec![write]).await {
            Err(error) if !error.is_condition_failed() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Whether nobody is at the job, nor will be soon.
fn is_unattended(record: &JobRecord, now: Millis) -> bool {
    let sent_long_ago = record.sent.is_none_or(|sent| now.since(sent) > RESEND);
    match record.state {
        JobState::Queued => sent_long_ago && now.since(record.created) > Duration::from_secs(2),
        JobState::Running => !record.is_leased_at(now) && record.sent.is_none_or(|sent| now.since(sent) > super::LEASE),
        _ => false,
    }
}
