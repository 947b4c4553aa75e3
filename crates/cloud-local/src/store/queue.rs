//! `Queue`: messages as rows, leases as columns.

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::{QUEUE_BATCH_MAX, QUEUE_DELAY_MAX, QUEUE_MESSAGE_MAX};
use cloud::{DeadLetter, Error, Leased, Millis, Queue, Receipt, Result, SendMessage};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::time::Instant;

use super::database::During;
use super::{Inner, PAGE_MAX, page_limit};

/// Longest lease (Amazon SQS).
const VISIBILITY_MAX: Duration = Duration::from_secs(12 * 60 * 60);
/// Longest wait for a message (Amazon SQS).
const WAIT_MAX: Duration = Duration::from_secs(20);
/// A waiting receiver looks at the clock at least this often: time may be a simulation's.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// A message that has been received this often becomes a dead letter instead of being received again.
    pub receives_max: u32,
}

/// How many messages are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    pub visible: u64,
    pub leased: u64,
    pub delayed: u64,
    pub dead: u64,
}

#[derive(Clone)]
pub struct LocalQueue {
    inner: Arc<Inner>,
    name: Arc<str>,
    receives_max: u32,
    dead_letter_queue: Option<Arc<str>>,
}

impl LocalQueue {
    pub(super) fn new(inner: Arc<Inner>, name: &str, settings: QueueSettings) -> Self {
        Self { inner, name: name.into(), receives_max: settings.receives_max.max(1), dead_letter_queue: None }
    }

    /// Dead letters go to another queue, as its ordinary messages (SQS `RedrivePolicy`), and are no longer
    /// listed by `dead_letters`.
    #[must_use]
    pub fn with_dead_letter_queue(mut self, name: &str) -> Self {
        self.dead_letter_queue = Some(name.into());
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the queue known by name before its first message; does nothing when it is.
    pub async fn create(&self) -> Result<()> {
        let (name, now) = (self.name.clone(), self.inner.now());
        self.inner.main.write(move |connection| ensure(connection, &name, now)).await
    }

    pub async fn counts(&self) -> Result<QueueCounts> {
        let (name, now) = (self.name.clone(), self.inner.now());
        self.inner.main.read(move |connection| count(connection, &name, now)).await
    }

    /// Removes every message and dead letter.
    pub async fn purge(&self) -> Result<()> {
        let name = self.name.clone();
        let work = move |connection: &Connection| {
            connection
                .execute("DELETE FROM message WHERE queue = ?1", params![name])
                .during("purging a queue")
                .map(drop)
        };
        self.inner.main.write(work).await
    }

    fn lease_id(&self) -> String {
        self.inner.random_hex()
    }

    /// What can be received now; otherwise when the next message becomes visible.
    async fn next_visible(&self) -> Result<Option<Millis>> {
        let name = self.name.clone();
        let work = move |connection: &Connection| {
            connection
                .prepare_cached("SELECT min(visible) FROM message WHERE queue = ?1 AND dead = 0")
                .and_then(|mut sql| sql.query_row(params![name], |row| row.get::<_, Option<i64>>(0)))
                .map(|at| at.map(Millis))
                .during("looking for messages")
        };
        self.inner.main.read(work).await
    }

    async fn lease(&self, max: usize, visibility: Duration) -> Result<Vec<Leased>> {
        let now = self.inner.now();
        let leases: Vec<String> = (0..max).map(|_| self.lease_id()).collect();
        let this = self.clone();
        let redriven = self.dead_letter_queue.clone();
        let inner = self.inner.clone();
        let work = move |connection: &Connection| this.lease_rows(connection, now, visibility, leases);
        self.inner
            .main
            .write_then(work, move |(_, dead): &(Vec<Leased>, usize)| {
                if let (Some(queue), true) = (redriven, *dead > 0) {
                    inner.signals.wake(&signal(&queue));
                }
            })
            .await
            .map(|(leased, _)| leased)
    }

    fn lease_rows(
        &self,
        connection: &Connection,
        now: Millis,
        visibility: Duration,
        leases: Vec<String>,
    ) -> Result<(Vec<Leased>, usize)> {
        let what = "leasing messages";
        let (mut leased, mut dead) = (Vec::new(), 0);
        let mut leases = leases.into_iter().peekable();
        let mut find = connection
            .prepare_cached(
                "SELECT id, name, body, sent, attempts FROM message
                 WHERE queue = ?1 AND dead = 0 AND visible <= ?2 ORDER BY visible, id LIMIT 1",
            )
            .during(what)?;
        let mut take = connection
            .prepare_cached("UPDATE message SET lease = ?2, visible = ?3, attempts = attempts + 1 WHERE id = ?1")
            .during(what)?;
        while leases.peek().is_some() {
            let row = find.query_row(params![self.name, now.0], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get::<_, u32>(4)?))
            });
            let Some((row, id, body, sent, attempts)) = row.optional().during(what)? else { break };
            if attempts >= self.receives_max {
                self.bury(connection, row, now)?;
                dead += 1;
                continue;
            }
            let Some(lease) = leases.next() else { break };
            // A lease of no time would be found again by this very loop.
            let until = now.plus(visibility.max(Duration::from_millis(1)));
            take.execute(params![row, lease, until.0]).during(what)?;
            let receipt = Receipt(format!("{row}.{lease}"));
            leased.push(Leased { id, body, receipt, attempt: attempts + 1, sent: Millis(sent) });
        }
        Ok((leased, dead))
    }

    fn bury(&self, connection: &Connection, row: i64, now: Millis) -> Result<()> {
        let what = "moving a dead letter";
        match &self.dead_letter_queue {
            None => connection.execute("UPDATE message SET dead = 1, lease = NULL WHERE id = ?1", params![row]),
            Some(queue) => {
                ensure(connection, queue, now)?;
                let sql = "UPDATE message SET queue = ?2, lease = NULL, attempts = 0, visible = ?3 WHERE id = ?1";
                connection.execute(sql, params![row, queue, now.0])
            }
        }
        .during(what)
        .map(drop)
    }
}

#[async_trait::async_trait]
impl Queue for LocalQueue {
    async fn send(&self, message: SendMessage) -> Result<String> {
        let SendMessage { body, delay } = message;
        if body.len() > QUEUE_MESSAGE_MAX {
            let (actual, limit) = (body.len() as u64, QUEUE_MESSAGE_MAX as u64);
            return Err(Error::TooLarge { what: "a queue message".into(), actual, limit });
        }
        if body.is_empty() {
            return Err(Error::Invalid("a queue message has at least one byte".into()));
        }
        if delay > QUEUE_DELAY_MAX {
            return Err(Error::Invalid("a queue message is delayed by 15 minutes at most".into()));
        }
        let (name, id, now) = (self.name.clone(), self.inner.ulid(), self.inner.now());
        let sent = id.clone();
        let work = move |connection: &Connection| {
            ensure(connection, &name, now)?;
            let sql = "INSERT INTO message (queue, visible, sent, name, body) VALUES (?1, ?2, ?3, ?4, ?5)";
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.execute(params![name, now.plus(delay).0, now.0, id, body]))
                .during(format!("sending to queue `{name}`"))
                .map(drop)
        };
        let (inner, name) = (self.inner.clone(), self.name.clone());
        self.inner.main.write_then(work, move |()| inner.signals.wake(&signal(&name))).await?;
        self.inner.sweep_when_due();
        Ok(sent)
    }

    async fn receive(&self, max: usize, visibility: Duration, wait: Duration) -> Result<Vec<Leased>> {
        page_limit(max, QUEUE_BATCH_MAX)?;
        check_visibility(visibility)?;
        let deadline = Instant::now() + wait.min(WAIT_MAX);
        let mut arrivals = self.inner.signals.listen(&signal(&self.name));
        loop {
            arrivals.borrow_and_update();
            let (now, next) = (self.inner.now(), self.next_visible().await?);
            if next.is_some_and(|at| at <= now) {
                let leased = self.lease(max, visibility).await?;
                if !leased.is_empty() {
                    return Ok(leased);
                }
                // Another receiver was quicker, or all of them were dead letters: look anew.
                if Instant::now() >= deadline {
                    return Ok(leased);
                }
                continue;
            }
            if Instant::now() >= deadline {
                return Ok(Vec::new());
            }
            let due = next.map_or(LOOK_AGAIN, |at| at.since(now).clamp(Duration::from_millis(1), LOOK_AGAIN));
            let until = deadline.min(Instant::now() + due);
            // Time out or woken: the loop looks either way.
            let _ = tokio::time::timeout_at(until, arrivals.changed()).await;
        }
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> Result<()> {
        check_visibility(visibility)?;
        let (row, lease) = parse_receipt(receipt)?;
        let (now, back) = (self.inner.now(), visibility.is_zero());
        let name = self.name.clone();
        let work = move |connection: &Connection| {
            let sql = "UPDATE message SET visible = ?3, lease = CASE WHEN ?4 THEN NULL ELSE lease END
                WHERE id = ?1 AND lease = ?2 AND visible > ?5 AND queue = ?6";
            let values = params![row, lease, now.plus(visibility).0, back, now.0, name];
            match connection.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).during("extending a lease")? {
                0 => Err(Error::Stale("the lease")),
                _ => Ok(()),
            }
        };
        let (inner, name) = (self.inner.clone(), self.name.clone());
        let wake = move |(): &()| {
            if back {
                inner.signals.wake(&signal(&name));
            }
        };
        self.inner.main.write_then(work, wake).await
    }

    async fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        let (row, lease) = parse_receipt(receipt)?;
        let name = self.name.clone();
        let work = move |connection: &Connection| {
            let what = "acknowledging a message";
            let sql = "DELETE FROM message WHERE id = ?1 AND lease = ?2 AND queue = ?3";
            let gone = connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.execute(params![row, lease, name]))
                .during(what)?;
            if gone > 0 {
                return Ok(());
            }
            // Acknowledged before: nothing is left to do. Leased anew: that delivery decides.
            let exists = connection
                .prepare_cached("SELECT 1 FROM message WHERE id = ?1")
                .and_then(|mut sql| sql.exists(params![row]))
                .during(what)?;
            if exists { Err(Error::Stale("the lease")) } else { Ok(()) }
        };
        self.inner.main.write(work).await
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetter>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let name = self.name.clone();
        let work = move |connection: &Connection| {
            let sql =
                "SELECT name, body, attempts, sent FROM message WHERE queue = ?1 AND dead = 1 ORDER BY id LIMIT ?2";
            let letter = |row: &rusqlite::Row<'_>| {
                Ok(DeadLetter { id: row.get(0)?, body: row.get(1)?, attempts: row.get(2)?, sent: Millis(row.get(3)?) })
            };
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(params![name, limit], letter)?.collect())
                .during("reading dead letters")
        };
        self.inner.main.read(work).await
    }
}

fn signal(queue: &str) -> String {
    format!("queue {queue}")
}

fn check_visibility(visibility: Duration) -> Result<()> {
    match visibility > VISIBILITY_MAX {
        true => Err(Error::Invalid("a lease lasts 12 hours at most".into())),
        false => Ok(()),
    }
}

fn parse_receipt(receipt: &Receipt) -> Result<(i64, String)> {
    let parts = receipt.0.split_once('.').and_then(|(row, lease)| Some((row.parse().ok()?, lease.to_owned())));
    parts.ok_or_else(|| Error::Invalid("that is not a receipt".into()))
}

pub(super) fn ensure(connection: &Connection, name: &str, now: Millis) -> Result<()> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO queue (name, created) VALUES (?1, ?2)")
        .and_then(|mut sql| sql.execute(params![name, now.0]))
        .during(format!("making queue `{name}`"))
        .map(drop)
}

fn count(connection: &Connection, name: &str, now: Millis) -> Result<QueueCounts> {
    let sql = "SELECT count(*) FILTER (WHERE dead = 0 AND visible <= ?2),
        count(*) FILTER (WHERE dead = 0 AND visible > ?2 AND lease IS NOT NULL),
        count(*) FILTER (WHERE dead = 0 AND visible > ?2 AND lease IS NULL),
        count(*) FILTER (WHERE dead = 1) FROM message WHERE queue = ?1";
    let number = |row: &rusqlite::Row<'_>, index: usize| {
        row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or_default())
    };
    let counts = |row: &rusqlite::Row<'_>| {
        let (visible, leased) = (number(row, 0)?, number(row, 1)?);
        Ok(QueueCounts { visible, leased, delayed: number(row, 2)?, dead: number(row, 3)? })
    };
    connection
        .prepare_cached(sql)
        .and_then(|mut sql| sql.query_row(params![name, now.0], counts))
        .during(format!("counting queue `{name}`"))
}
