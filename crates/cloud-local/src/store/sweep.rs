//! What is done at a start after whatever ended the last run, and what is thrown away in time.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cloud::{Millis, Result};
use rusqlite::{Connection, params};

use super::blobs::{Files, abandon};
use super::database::During;
use super::{Inner, Store, logs, records};

/// How often what has expired is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long the change feed is kept (Amazon DynamoDB Streams).
const FEED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Changes that are kept, however young.
const FEED_CHANGES_MAX: i64 = 1_000_000;
/// How long messages are kept (Amazon SQS, the longest it offers).
const MESSAGES_KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How long an upload may stay incomplete.
const UPLOADS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Rows removed in one transaction.
const STEP: i64 = 1_000;

/// What a start found.
pub(super) struct Recovered {
    pub(super) feed_end: i64,
    pub(super) has_sealed: bool,
}

/// Gives back the leases of the last run (one process owns the data, so nobody holds them) and deletes blob files
/// that no row names.
pub(super) fn recover(database: &Path, files: &Files, now: Millis) -> Result<Recovered> {
    let what = "recovering the store";
    let connection = Connection::open(database).during(what)?;
    connection.execute_batch("PRAGMA busy_timeout = 5000; PRAGMA synchronous = FULL;").during(what)?;
    let released = "UPDATE message SET lease = NULL, visible = ?1 WHERE lease IS NOT NULL";
    connection.execute(released, params![now.0]).during(what)?;
    let mut named = HashSet::new();
    let sql = "SELECT file FROM blob WHERE file IS NOT NULL UNION ALL SELECT file FROM part";
    let mut sql = connection.prepare(sql).during(what)?;
    for file in sql.query_map([], |row| row.get::<_, String>(0)).during(what)? {
        named.insert(file.during(what)?);
    }
    let orphans: Vec<String> = files.names()?.into_iter().filter(|name| !named.contains(name)).collect();
    if !orphans.is_empty() {
        tracing::info!(files = orphans.len(), "deleting blob files that nothing names");
    }
    orphans.iter().for_each(|name| files.remove(name));
    let has_sealed = connection
        .query_row("SELECT EXISTS (SELECT 1 FROM parameter WHERE sealed)", [], |row| row.get(0))
        .during(what)?;
    Ok(Recovered { feed_end: records::newest_change(&connection)?, has_sealed })
}

impl Store {
    /// Throws away what has had its time: expired records, old changes, messages, log events, incomplete uploads.
    /// Runs by itself about once a minute while something is written.
    pub async fn sweep(&self) -> Result<()> {
        self.inner.sweep().await
    }
}

impl Inner {
    /// Starts a sweep beside the caller when the last one is a minute old.
    pub(super) fn sweep_when_due(&self) {
        let (now, due) = (self.now().0, self.next_sweep.load(Ordering::Relaxed));
        let next = now.saturating_add(i64::try_from(SWEEP_EVERY.as_millis()).unwrap_or(i64::MAX));
        if now < due || self.next_sweep.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (now, files) = (self.now(), self.files.clone());
        self.main.in_background(move |connection| sweep_main(connection, now), move |swept| swept.settle(&files));
        self.logs.in_background(move |connection| sweep_logs(connection, now), |more| *more);
    }

    async fn sweep(&self) -> Result<()> {
        let now = self.now();
        loop {
            let swept = self.main.write(move |connection| sweep_main(connection, now)).await?;
            let files = self.files.clone();
            let more = tokio::task::spawn_blocking(move || swept.settle(&files)).await.during("sweeping")?;
            if !more {
                break;
            }
        }
        while self.logs.write(move |connection| sweep_logs(connection, now)).await? {}
        Ok(())
    }
}

/// What one step did.
struct Swept {
    more: bool,
    /// Files that nothing names any more.
    released: Vec<String>,
}

impl Swept {
    /// Deletes the files once the step is on disk; the answer is whether there is more to do.
    fn settle(&self, files: &Files) -> bool {
        self.released.iter().for_each(|name| files.remove(name));
        self.more
    }
}

/// One step of everything in the main database.
fn sweep_main(connection: &Connection, now: Millis) -> Result<Swept> {
    let ago = |kept: Duration| Millis(now.0.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX)));
    let expired = records::expire(connection, now, STEP)? > 0;
    let trimmed = trim_feed(connection, ago(FEED_KEPT))?;
    let dropped = drop_messages(connection, ago(MESSAGES_KEPT))?;
    let released = abandon(connection, ago(UPLOADS_KEPT))?;
    let more = expired || trimmed || dropped || released.is_some();
    Ok(Swept { more, released: released.unwrap_or_default() })
}

/// One step of everything in the logs.
fn sweep_logs(connection: &Connection, now: Millis) -> Result<bool> {
    let expired = logs::expire_step(connection, now)?;
    Ok(logs::remove_dropped_step(connection)? || expired)
}

/// Cuts the oldest changes off; `true` when there may be more. Positions before the cut are stale from then on.
fn trim_feed(connection: &Connection, before: Millis) -> Result<bool> {
    let what = "trimming the change feed";
    let surplus = records::newest_change(connection)? - FEED_CHANGES_MAX;
    // The oldest rows alone are looked at: a sweep with nothing to do costs one step.
    let sql = "SELECT max(position) FROM (SELECT position, at FROM change ORDER BY position LIMIT ?3)
        WHERE at < ?1 OR position <= ?2";
    let last: Option<i64> =
        connection.query_row(sql, params![before.0, surplus, STEP], |row| row.get(0)).during(what)?;
    let Some(last) = last else { return Ok(false) };
    connection.execute("DELETE FROM change WHERE position <= ?1", params![last]).during(what)?;
    connection.execute("UPDATE feed SET trimmed = max(trimmed, ?1)", params![last]).during(what)?;
    Ok(true)
}

fn drop_messages(connection: &Connection, before: Millis) -> Result<bool> {
    let sql = "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE sent < ?1 LIMIT ?2)";
    connection.execute(sql, params![before.0, STEP]).during("removing old messages").map(|removed| removed > 0)
}
