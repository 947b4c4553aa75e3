//! `Records`: rows with conditional transactions and a change feed.

use std::sync::Arc;
use std::time::Duration;

use cloud::limits::RECORD_PAGE_MAX;
use cloud::{
    Change, ChangeFeed, ChangeKind, ChangePage, Error, Expect, FeedPosition, Millis, RangeQuery, Record, RecordKey,
    RecordPage, Records, Result, Version, Write, check_writes,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::database::During;
use super::{Inner, PAGE_MAX, page_limit, prefix_end};

/// The records of one namespace.
#[derive(Clone)]
pub struct LocalRecords {
    inner: Arc<Inner>,
    namespace: Arc<str>,
}

impl LocalRecords {
    pub(super) fn new(inner: Arc<Inner>, namespace: &str) -> Self {
        Self { inner, namespace: namespace.into() }
    }

    /// Waits until the feed (of any namespace) goes past what it was when this was called, or `wait` has passed.
    /// Subscribe by calling `changes` again afterwards.
    pub async fn wait_for_change(&self, after: &FeedPosition, wait: Duration) -> Result<()> {
        let after = parse_position(after)?;
        let mut feed = self.inner.feed.subscribe();
        // A timeout is an answer too: nothing came.
        let _ = tokio::time::timeout(wait, feed.wait_for(|newest| *newest > after)).await;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Records for LocalRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let (namespace, key) = (self.namespace.clone(), key.clone());
        self.inner.main.look_up(move |connection| read_record(connection, &namespace, &key)).await
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        page_limit(query.limit, PAGE_MAX)?;
        let (namespace, now) = (self.namespace.clone(), self.inner.now());
        self.inner.main.read(move |connection| read_range(connection, &namespace, &query, now)).await
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        let texts = check_writes(&writes)?;
        let (namespace, now) = (self.namespace.clone(), self.inner.now());
        let feed = self.inner.feed.clone();
        let work = move |connection: &Connection| apply(connection, &namespace, now, &writes, &texts);
        let applied = self
            .inner
            .main
            .write_then(work, move |applied: &Applied| {
                feed.send_if_modified(|newest| {
                    let moved = applied.newest > *newest;
                    *newest = applied.newest.max(*newest);
                    moved
                });
            })
            .await?;
        self.inner.sweep_when_due();
        Ok(applied.versions)
    }
}

#[async_trait::async_trait]
impl ChangeFeed for LocalRecords {
    async fn changes(&self, position: Option<&FeedPosition>, limit: usize) -> Result<ChangePage> {
        page_limit(limit, PAGE_MAX)?;
        let after = position.map(parse_position).transpose()?;
        let namespace = self.namespace.clone();
        self.inner.main.read(move |connection| read_changes(connection, &namespace, after, limit)).await
    }

    async fn feed_end(&self) -> Result<FeedPosition> {
        self.inner
            .main
            .read(|connection| newest_change(connection).map(|newest| FeedPosition(newest.to_string())))
            .await
    }
}

fn parse_position(position: &FeedPosition) -> Result<i64> {
    let bad = || Error::Invalid("that is not a feed position".into());
    position.0.parse().ok().filter(|p: &i64| *p >= 0).ok_or_else(bad)
}

/// The number given out last, also when its change has been trimmed.
pub(super) fn newest_change(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'change'")
        .and_then(|mut sql| sql.query_row([], |row| row.get(0)).optional())
        .map(Option::unwrap_or_default)
        .during("reading the end of the feed")
}

fn record(row: &Row<'_>, key: RecordKey) -> Result<Record> {
    let columns = || -> rusqlite::Result<(i64, Option<i64>, String)> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
    let (version, expires, text) = columns().during(format!("reading record `{key}`"))?;
    let value = parse(&text).map_err(|_| Error::Corrupt(key.to_string()))?;
    Ok(Record { key, value, version: Version(version.to_string()), expires: expires.map(Millis) })
}

fn parse(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

fn read_record(connection: &Connection, namespace: &str, key: &RecordKey) -> Result<Option<Record>> {
    let what = || format!("reading record `{key}`");
    let sql = "SELECT version, expires, value FROM record WHERE namespace = ?1 AND partition = ?2 AND sort = ?3";
    let mut sql = connection.prepare_cached(sql).during(what())?;
    let mut rows = sql.query(params![namespace, key.partition, key.sort]).during(what())?;
    match rows.next().during(what())? {
        Some(row) => record(row, key.clone()).map(Some),
        None => Ok(None),
    }
}

fn read_range(connection: &Connection, namespace: &str, query: &RangeQuery, now: Millis) -> Result<RecordPage> {
    let what = || format!("reading partition `{}`", query.partition);
    let end = prefix_end(&query.prefix);
    // `?4` and `?5` are both lower bounds (upwards) or both upper bounds (downwards).
    let (bounds, order) = match query.descending {
        false => ("sort >= ?3 AND sort > ?4 AND (?5 IS NULL OR sort < ?5)", "ASC"),
        true => ("sort >= ?3 AND (?4 IS NULL OR sort < ?4) AND (?5 IS NULL OR sort < ?5)", "DESC"),
    };
    let after = match (&query.after, query.descending) {
        (Some(after), _) => Some(after.as_str()),
        (None, false) => Some(""),
        (None, true) => None,
    };
    let sql = format!(
        "SELECT version, expires, value, sort FROM record WHERE namespace = ?1 AND partition = ?2 AND {bounds}
         AND (expires IS NULL OR expires > ?6) ORDER BY sort {order}"
    );
    let mut sql = connection.prepare_cached(&sql).during(what())?;
    let values = params![namespace, query.partition, query.prefix, after, end, now.0];
    let mut rows = sql.query(values).during(what())?;
    let mut page = RecordPage { records: Vec::new(), next: None };
    let mut bytes = 0;
    while let Some(row) = rows.next().during(what())? {
        let sort: String = row.get(3).during(what())?;
        let size = row.get_ref(2).during(what())?.as_bytes().during(what())?.len() + query.partition.len() + sort.len();
        let full = page.records.len() >= query.limit || bytes + size > RECORD_PAGE_MAX;
        if full && let Some(last) = page.records.last() {
            page.next = Some(last.key.sort.clone());
            break;
        }
        bytes += size;
        page.records.push(record(row, RecordKey::new(query.partition.clone(), sort))?);
    }
    Ok(page)
}

struct Applied {
    versions: Vec<Option<Version>>,
    newest: i64,
}

/// Checks every expectation against one state, then writes.
fn apply(
    connection: &Connection,
    namespace: &str,
    now: Millis,
    writes: &[Write],
    texts: &[Option<String>],
) -> Result<Applied> {
    let mut found = Vec::with_capacity(writes.len());
    for (index, write) in writes.iter().enumerate() {
        let (key, expect) = match write {
            Write::Put { key, expect, .. } | Write::Delete { key, expect } | Write::Check { key, expect } => {
                (key, expect)
            }
        };
        let old = read_old(connection, namespace, key)?;
        let holds = match (expect, &old) {
            (Expect::Anything, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => true,
            (Expect::At(version), Some((at, _))) => version.0 == at.to_string(),
            (Expect::Absent, Some(_)) | (Expect::Present | Expect::At(_), None) => false,
        };
        if !holds {
            return Err(Error::ConditionFailed { key: key.to_string(), index: Some(index) });
        }
        found.push(old.map(|(_, text)| text));
    }
    let mut applied = Applied { versions: Vec::with_capacity(writes.len()), newest: 0 };
    for ((write, old), new) in writes.iter().zip(found).zip(texts) {
        let version = match write {
            Write::Put { key, expires, .. } => {
                let version = log_change(connection, namespace, now, key, old.as_deref(), new.as_deref())?;
                store(connection, namespace, key, version, *expires, new.as_deref().unwrap_or("null"))?;
                applied.newest = version;
                Some(Version(version.to_string()))
            }
            Write::Delete { key, .. } if old.is_some() => {
                applied.newest = log_change(connection, namespace, now, key, old.as_deref(), None)?;
                remove(connection, namespace, key)?;
                None
            }
            Write::Delete { .. } | Write::Check { .. } => None,
        };
        applied.versions.push(version);
    }
    Ok(applied)
}

fn read_old(connection: &Connection, namespace: &str, key: &RecordKey) -> Result<Option<(i64, String)>> {
    connection
        .prepare_cached("SELECT version, value FROM record WHERE namespace = ?1 AND partition = ?2 AND sort = ?3")
        .and_then(|mut sql| {
            sql.query_row(params![namespace, key.partition, key.sort], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        })
        .during(format!("reading record `{key}`"))
}

/// Writes a line of the feed; its position is the version of the record it tells of.
fn log_change(
    connection: &Connection,
    namespace: &str,
    now: Millis,
    key: &RecordKey,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<i64> {
    let kind = match (old, new) {
        (None, _) => ChangeKind::Insert,
        (Some(_), Some(_)) => ChangeKind::Modify,
        (Some(_), None) => ChangeKind::Remove,
    };
    let sql = "INSERT INTO change (namespace, partition, sort, kind, at, old, new) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let values = params![namespace, key.partition, key.sort, kind as i64, now.0, old, new];
    connection
        .prepare_cached(sql)
        .and_then(|mut sql| sql.execute(values))
        .during(format!("logging the change of `{key}`"))?;
    Ok(connection.last_insert_rowid())
}

fn store(
    connection: &Connection,
    namespace: &str,
    key: &RecordKey,
    version: i64,
    expires: Option<Millis>,
    text: &str,
) -> Result<()> {
    let sql = "INSERT INTO record (namespace, partition, sort, version, expires, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (namespace, partition, sort)
        DO UPDATE SET version = excluded.version, expires = excluded.expires, value = excluded.value";
    let values = params![namespace, key.partition, key.sort, version, expires.map(|at| at.0), text];
    connection.prepare_cached(sql).and_then(|mut sql| sql.execute(values)).during(format!("writing `{key}`")).map(drop)
}

fn remove(connection: &Connection, namespace: &str, key: &RecordKey) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM record WHERE namespace = ?1 AND partition = ?2 AND sort = ?3")
        .and_then(|mut sql| sql.execute(params![namespace, key.partition, key.sort]))
        .during(format!("deleting `{key}`"))
        .map(drop)
}

/// Removes records whose time has come, at most `limit`, and tells the feed. Answers how many.
pub(super) fn expire(connection: &Connection, now: Millis, limit: i64) -> Result<usize> {
    let what = "removing expired records";
    let due: Vec<(String, RecordKey, String)> = connection
        .prepare_cached("SELECT namespace, partition, sort, value FROM record WHERE expires <= ?1 LIMIT ?2")
        .and_then(|mut sql| {
            let rows = sql.query_map(params![now.0, limit], |row| {
                Ok((row.get(0)?, RecordKey { partition: row.get(1)?, sort: row.get(2)? }, row.get(3)?))
            })?;
            rows.collect()
        })
        .during(what)?;
    for (namespace, key, text) in &due {
        log_change(connection, namespace, now, key, Some(text), None)?;
        remove(connection, namespace, key)?;
    }
    Ok(due.len())
}

fn read_changes(connection: &Connection, namespace: &str, after: Option<i64>, limit: usize) -> Result<ChangePage> {
    let what = "reading the change feed";
    // One snapshot, so that trimming cannot pass between the check and the read.
    let snapshot = connection.unchecked_transaction().during(what)?;
    let trimmed: i64 = snapshot.query_row("SELECT trimmed FROM feed", [], |row| row.get(0)).during(what)?;
    if after.is_some_and(|after| after < trimmed) {
        return Err(Error::Stale("the feed position"));
    }
    let newest = newest_change(&snapshot)?;
    let after = after.unwrap_or(trimmed);
    let sql = "SELECT position, partition, sort, kind, at, old, new FROM change
        WHERE namespace = ?1 AND position > ?2 ORDER BY position LIMIT ?3";
    let mut page = ChangePage { changes: Vec::new(), next: FeedPosition(newest.max(after).to_string()) };
    {
        let mut sql = snapshot.prepare_cached(sql).during(what)?;
        let mut rows = sql.query(params![namespace, after, page_limit(limit, PAGE_MAX)?]).during(what)?;
        let mut bytes = 0;
        while let Some(row) = rows.next().during(what)? {
            let (change, size) = change(row)?;
            bytes += size;
            page.changes.push(change);
            if page.changes.len() == limit || bytes > RECORD_PAGE_MAX {
                break;
            }
        }
        if page.changes.len() == limit || bytes > RECORD_PAGE_MAX {
            page.next = page.changes.last().map_or(page.next, |last| last.position.clone());
        }
    }
    snapshot.finish().during(what)?;
    Ok(page)
}

fn change(row: &Row<'_>) -> Result<(Change, usize)> {
    let what = "reading a change";
    let position: i64 = row.get(0).during(what)?;
    let key = RecordKey { partition: row.get(1).during(what)?, sort: row.get(2).during(what)? };
    let kind = match row.get::<_, i64>(3).during(what)? {
        0 => ChangeKind::Insert,
        1 => ChangeKind::Modify,
        _ => ChangeKind::Remove,
    };
    let (old, new): (Option<String>, Option<String>) = (row.get(5).during(what)?, row.get(6).during(what)?);
    let size = old.as_ref().map_or(0, String::len) + new.as_ref().map_or(0, String::len);
    let value = |text: Option<String>| {
        text.map(|text| parse(&text)).transpose().map_err(|_| Error::Corrupt(format!("change {position}")))
    };
    let at = Millis(row.get(4).during(what)?);
    let change =
        Change { position: FeedPosition(position.to_string()), kind, key, old: value(old)?, new: value(new)?, at };
    Ok((change, size))
}
