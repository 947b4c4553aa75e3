//! `Logs`: events as rows in order of arrival.

mod read;

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::{LOG_BATCH_EVENTS_MAX, LOG_BATCH_MAX, LOG_EVENT_MAX, LOG_PAGE_EVENTS_MAX};
use cloud::{Error, LogEvent, LogPage, LogQuery, LogStream, Logs, Millis, Result};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::time::Instant;

use super::database::During;
use super::{Inner, PAGE_MAX, page_limit, prefix_end};

/// What each event counts more than its text (Amazon CloudWatch Logs).
const EVENT_OVERHEAD: usize = 26;
/// Longest wait for the first event.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// A group's or a stream's name (characters).
const NAME_MAX: usize = 512;
/// Events removed in one transaction.
const REMOVE_STEP: i64 = 5_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The log groups of one namespace.
#[derive(Clone)]
pub struct LocalLogs {
    inner: Arc<Inner>,
    namespace: Arc<str>,
}

/// A group as it is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogGroup {
    pub name: String,
    pub created: Millis,
    /// For ever when `None`.
    pub retention_days: Option<u32>,
}

impl LocalLogs {
    pub(super) fn new(inner: Arc<Inner>, namespace: &str) -> Self {
        Self { inner, namespace: namespace.into() }
    }

    /// Groups with their settings, as `groups` lists their names.
    pub async fn describe_groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogGroup>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let (namespace, prefix) = (self.namespace.clone(), prefix.to_owned());
        let after = after.unwrap_or_default().to_owned();
        let work = move |connection: &Connection| {
            let sql = "SELECT name, created, retention_days FROM log_group WHERE namespace = ?1 AND name >= ?2
                AND name > ?3 AND (?4 IS NULL OR name < ?4) ORDER BY name LIMIT ?5";
            let values = params![namespace, prefix, after, prefix_end(&prefix), limit];
            let group = |row: &rusqlite::Row<'_>| {
                Ok(LogGroup { name: row.get(0)?, created: Millis(row.get(1)?), retention_days: row.get(2)? })
            };
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(values, group)?.collect())
                .during("listing log groups")
        };
        self.inner.logs.read(work).await
    }

    /// Creates the stream before its first event; does nothing when it is there. `Error::NotFound` without the group.
    pub async fn ensure_stream(&self, group: &str, stream: &str) -> Result<()> {
        check_stream(stream)?;
        let (namespace, group, stream) = (self.namespace.clone(), group.to_owned(), stream.to_owned());
        let now = self.inner.now();
        let work = move |connection: &Connection| {
            let group = group_id(connection, &namespace, &group)?;
            stream_id(connection, group, &stream, now).map(drop)
        };
        self.inner.logs.write(work).await
    }

    fn signal(&self, group: &str) -> String {
        format!("log {} {group}", self.namespace)
    }
}

#[async_trait::async_trait]
impl Logs for LocalLogs {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        check_group(group)?;
        let (namespace, group, now) = (self.namespace.clone(), group.to_owned(), self.inner.now());
        let work = move |connection: &Connection| {
            let sql = "INSERT INTO log_group (namespace, name, created, retention_days) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (namespace, name) DO UPDATE SET retention_days = excluded.retention_days";
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.execute(params![namespace, group, now.0, retention_days]))
                .during(format!("making log group `{group}`"))
                .map(drop)
        };
        self.inner.logs.write(work).await
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        check_stream(stream)?;
        check_batch(&events)?;
        let signal = self.signal(group);
        let (namespace, group, stream) = (self.namespace.clone(), group.to_owned(), stream.to_owned());
        let now = self.inner.now();
        let work = move |connection: &Connection| {
            let group = group_id(connection, &namespace, &group)?;
            append(connection, group, &stream, &events, now)
        };
        let inner = self.inner.clone();
        self.inner.logs.write_then(work, move |()| inner.signals.wake(&signal)).await?;
        self.inner.sweep_when_due();
        Ok(())
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        page_limit(query.limit, LOG_PAGE_EVENTS_MAX)?;
        let mut arrivals = self.inner.signals.listen(&self.signal(&query.group));
        let deadline = Instant::now() + query.wait.min(WAIT_MAX);
        let mut from = read::From::of(&query)?;
        let query = Arc::new(query);
        loop {
            arrivals.borrow_and_update();
            let (namespace, query) = (self.namespace.clone(), query.clone());
            let page = self.inner.logs.read(move |connection| read::page(connection, &namespace, &query, from)).await?;
            if !page.records.is_empty() || Instant::now() >= deadline {
                return Ok(page);
            }
            from = read::From::parse(&page.next)?;
            // Time out or woken: one more look either way.
            let _ = tokio::time::timeout_at(deadline, arrivals.changed()).await;
        }
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        let limit = page_limit(limit, PAGE_MAX)?;
        let (namespace, group) = (self.namespace.clone(), group.to_owned());
        let after = after.unwrap_or_default().to_owned();
        let work = move |connection: &Connection| {
            let group = group_id(connection, &namespace, &group)?;
            let sql =
                "SELECT name, first, last FROM log_stream WHERE group_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
            let stream = |row: &rusqlite::Row<'_>| {
                let (first, last): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
                Ok(LogStream { name: row.get(0)?, first: first.map(Millis), last: last.map(Millis) })
            };
            connection
                .prepare_cached(sql)
                .and_then(|mut sql| sql.query_map(params![group, after, limit], stream)?.collect())
                .during("listing log streams")
        };
        self.inner.logs.read(work).await
    }

    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let groups = self.describe_groups(prefix, after, limit).await?;
        Ok(groups.into_iter().map(|group| group.name).collect())
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        let (namespace, group) = (self.namespace.clone(), group.to_owned());
        self.inner.logs.write(move |connection| drop_groups(connection, &namespace, Some(&group)).map(drop)).await?;
        self.inner.remove_dropped_events().await
    }
}

impl Inner {
    /// Removes the events of groups that were dropped, a step a transaction.
    pub(super) async fn remove_dropped_events(&self) -> Result<()> {
        while self.logs.write(remove_dropped_step).await? {}
        Ok(())
    }
}

fn check_group(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/' | '.' | '#');
    match (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits) {
        true => Ok(()),
        false => Err(Error::Invalid("a log group's name has 1 to 512 of letters, digits and _ - / . #".into())),
    }
}

fn check_stream(name: &str) -> Result<()> {
    let refused = |c: char| c.is_control() || matches!(c, ':' | '*');
    match (1..=NAME_MAX).contains(&name.chars().count()) && !name.contains(refused) {
        true => Ok(()),
        false => Err(Error::Invalid("a log stream's name has 1 to 512 characters, none of them `:` or `*`".into())),
    }
}

fn check_batch(events: &[LogEvent]) -> Result<()> {
    if events.len() > LOG_BATCH_EVENTS_MAX {
        return Err(Error::Invalid(format!("one append has at most {LOG_BATCH_EVENTS_MAX} events")));
    }
    let too_large = |what: &str, actual: usize, limit: usize| {
        Err(Error::TooLarge { what: what.into(), actual: actual as u64, limit: limit as u64 })
    };
    if let Some(event) = events.iter().find(|event| event.message.len() > LOG_EVENT_MAX) {
        return too_large("a log event", event.message.len(), LOG_EVENT_MAX);
    }
    let total = events.iter().map(|event| event.message.len() + EVENT_OVERHEAD).sum::<usize>();
    if total > LOG_BATCH_MAX {
        return too_large("a batch of log events", total, LOG_BATCH_MAX);
    }
    Ok(())
}

/// `Error::NotFound` when there is no such group.
fn group_id(connection: &Connection, namespace: &str, group: &str) -> Result<i64> {
    connection
        .prepare_cached("SELECT id FROM log_group WHERE namespace = ?1 AND name = ?2")
        .and_then(|mut sql| sql.query_row(params![namespace, group], |row| row.get(0)).optional())
        .during(format!("looking up log group `{group}`"))?
        .ok_or_else(|| Error::NotFound(group.to_owned()))
}

fn stream_id(connection: &Connection, group: i64, stream: &str, now: Millis) -> Result<i64> {
    let what = || format!("making log stream `{stream}`");
    connection
        .prepare_cached("INSERT OR IGNORE INTO log_stream (group_id, name, created) VALUES (?1, ?2, ?3)")
        .and_then(|mut sql| sql.execute(params![group, stream, now.0]))
        .during(what())?;
    connection
        .prepare_cached("SELECT id FROM log_stream WHERE group_id = ?1 AND name = ?2")
        .and_then(|mut sql| sql.query_row(params![group, stream], |row| row.get(0)))
        .during(what())
}

fn append(connection: &Connection, group: i64, stream: &str, events: &[LogEvent], now: Millis) -> Result<()> {
    let what = || format!("appending to log stream `{stream}`");
    let stream = stream_id(connection, group, stream, now)?;
    let sql = "INSERT INTO log_event (group_id, stream_id, at, ingested, message) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut sql = connection.prepare_cached(sql).during(what())?;
    for event in events {
        sql.execute(params![group, stream, event.at.0, now.0, event.message]).during(what())?;
    }
    let (first, last) = (events.iter().map(|event| event.at.0).min(), events.iter().map(|event| event.at.0).max());
    let sql = "UPDATE log_stream SET first = min(coalesce(first, ?2), coalesce(?2, first)),
        last = max(coalesce(last, ?3), coalesce(?3, last)) WHERE id = ?1";
    connection
        .prepare_cached(sql)
        .and_then(|mut sql| sql.execute(params![stream, first, last]))
        .during(what())
        .map(drop)
}

/// Takes groups out of sight at once (one, or the whole namespace); their events are removed in steps.
pub(super) fn drop_groups(connection: &Connection, namespace: &str, group: Option<&str>) -> Result<usize> {
    let what = "deleting log groups";
    let values = params![namespace, group];
    let these = "namespace = ?1 AND (?2 IS NULL OR name = ?2)";
    let marked = format!("INSERT OR IGNORE INTO dropped_group (id) SELECT id FROM log_group WHERE {these}");
    let found = connection.execute(&marked, values).during(what)?;
    connection.execute(&format!("DELETE FROM log_group WHERE {these}"), values).during(what)?;
    Ok(found)
}

/// Removes some events of dropped groups; `false` when there is nothing left.
pub(super) fn remove_dropped_step(connection: &Connection) -> Result<bool> {
    let what = "removing log events";
    let group: Option<i64> =
        connection.query_row("SELECT id FROM dropped_group LIMIT 1", [], |row| row.get(0)).optional().during(what)?;
    let Some(group) = group else { return Ok(false) };
    let sql = "DELETE FROM log_event WHERE id IN (SELECT id FROM log_event WHERE group_id = ?1 LIMIT ?2)";
    if connection.execute(sql, params![group, REMOVE_STEP]).during(what)? == 0 {
        connection.execute("DELETE FROM log_stream WHERE group_id = ?1", params![group]).during(what)?;
        connection.execute("DELETE FROM dropped_group WHERE id = ?1", params![group]).during(what)?;
    }
    Ok(true)
}

/// Removes some events that are older than their group keeps them; `false` when none was found.
pub(super) fn expire_step(connection: &Connection, now: Millis) -> Result<bool> {
    let what = "removing old log events";
    let groups: Vec<(i64, i64)> = connection
        .prepare_cached("SELECT id, retention_days FROM log_group WHERE retention_days IS NOT NULL")
        .and_then(|mut sql| sql.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .during(what)?;
    let day = i64::try_from(DAY.as_millis()).during(what)?;
    let mut removed = 0;
    for (group, days) in groups {
        let before = now.0.saturating_sub(days.saturating_mul(day));
        let sql = "DELETE FROM log_event WHERE id IN
            (SELECT id FROM log_event WHERE group_id = ?1 AND at < ?2 LIMIT ?3)";
        removed += connection.execute(sql, params![group, before, REMOVE_STEP]).during(what)?;
    }
    Ok(removed > 0)
}
