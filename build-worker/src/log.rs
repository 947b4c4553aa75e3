//! The log of a running job: lines are gathered and appended a few times a second.

use std::sync::Arc;
use std::time::Duration;

use domain::{Domain, Lease};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::mask::Mask;

/// How long lines are gathered before they are appended.
const FLUSH: Duration = Duration::from_millis(150);
/// Lines that wait at most: a build that prints faster is slowed down to what the log takes.
const WAITING_MAX: usize = 4_096;
/// Lines appended in one call.
const BATCH: usize = 1_000;
/// Bytes of log that one job may write; a build that prints more goes on, unheard.
const LOG_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a job's steps write their lines.
pub type Lines = mpsc::Sender<String>;

/// Takes lines until every sender is gone.
pub struct JobLog {
    task: JoinHandle<()>,
}

impl JobLog {
    pub fn start(domain: Arc<Domain>, lease: Lease, mask: Mask) -> (Self, Lines) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Self { task: tokio::spawn(write(domain, lease, mask, receiver)) }, sender)
    }

    /// Waits until the last line is in the log. Every `Lines` must be gone.
    pub async fn finish(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the log writer stopped");
        }
    }
}

async fn write(domain: Arc<Domain>, lease: Lease, mask: Mask, mut lines: mpsc::Receiver<String>) {
    let mut batch = Vec::new();
    let mut left = LOG_BYTES_MAX;
    while lines.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            // Another moment, so that a chatty build does not cost a call a line.
            tokio::time::sleep(FLUSH).await;
            while batch.len() < BATCH
                && let Ok(line) = lines.try_recv()
            {
                batch.push(line);
            }
        }
        for line in &mut batch {
            *line = mask.apply(line);
        }
        let kept = within(&mut left, &mut batch);
        if let Err(error) = domain.jobs.log(&lease, kept).await {
            tracing::warn!(%error, job = %lease.job, lines = kept.len(), "lines of a job's log were lost");
        }
        batch.clear();
    }
}

/// The lines that the log still has room for; the last of them says so when it is full.
fn within<'a>(left: &mut usize, batch: &'a mut Vec<String>) -> &'a [String] {
    if *left == 0 {
        return &[];
    }
    let mut fit = 0;
    for line in batch.iter() {
        if line.len() >= *left {
            *left = 0;
            break;
        }
        *left -= line.len();
        fit += 1;
    }
    if *left == 0 {
        batch.truncate(fit);
        batch.push(format!("[the log is cut here: a job's log has {} MiB at most]", LOG_BYTES_MAX / 1024 / 1024));
        fit += 1;
    }
    &batch[..fit]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_full_says_so_once() {
        let mut left = 10;
        let mut batch = vec!["12345".to_owned(), "1234567".to_owned(), "x".to_owned()];
        let kept = within(&mut left, &mut batch).to_vec();
        assert_eq!(kept.len(), 2);
        assert!(kept[1].contains("cut here"));
        assert!(within(&mut left, &mut vec!["more".to_owned()]).is_empty());
    }
}
