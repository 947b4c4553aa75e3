//! Reading on from a cursor. Events get their number when they are committed, by one writer, so the numbers that a
//! reader has not seen are all greater than those it has: nothing is skipped and nothing comes twice.

use cloud::limits::LOG_BATCH_MAX;
use cloud::{Error, LogCursor, LogPage, LogQuery, LogRecord, Millis, Result};
use rusqlite::{Connection, OptionalExtension, params};

use super::group_id;
use crate::store::database::During;
use crate::store::page_limit;

/// After which event to read on, and from which time. As a cursor: `{after}` or `{after}@{start}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct From {
    after: i64,
    start: Option<Millis>,
}

impl From {
    pub(super) fn of(query: &LogQuery) -> Result<Self> {
        match &query.cursor {
            Some(cursor) => Self::parse(cursor),
            None => Ok(Self { after: 0, start: query.start }),
        }
    }

    pub(super) fn parse(cursor: &LogCursor) -> Result<Self> {
        let (after, start) = match cursor.0.split_once('@') {
            Some((after, start)) => (after, Some(start)),
            None => (cursor.0.as_str(), None),
        };
        let bad = || Error::Invalid("that is not a log cursor".into());
        let after = after.parse().ok().filter(|after: &i64| *after >= 0).ok_or_else(bad)?;
        let start = start.map(|start| start.parse().map(Millis).map_err(|_| bad())).transpose()?;
        Ok(Self { after, start })
    }

    fn cursor(self) -> LogCursor {
        match self.start {
            Some(start) => LogCursor(format!("{}@{}", self.after, start.0)),
            None => LogCursor(self.after.to_string()),
        }
    }
}

pub(super) fn page(connection: &Connection, namespace: &str, query: &LogQuery, from: From) -> Result<LogPage> {
    let what = || format!("reading log group `{}`", query.group);
    let snapshot = connection.unchecked_transaction().during(what())?;
    let page = read(&snapshot, namespace, query, from);
    snapshot.finish().during(what())?;
    page
}

fn read(connection: &Connection, namespace: &str, query: &LogQuery, from: From) -> Result<LogPage> {
    let what = || format!("reading log group `{}`", query.group);
    let group = group_id(connection, namespace, &query.group)?;
    let newest = newest(connection)?.max(from.after);
    let nothing = |after| LogPage { records: Vec::new(), next: From { after, ..from }.cursor() };
    let stream: Option<i64> = match &query.stream {
        None => None,
        Some(name) => match stream(connection, group, name)? {
            Some(stream) => Some(stream),
            None => return Ok(nothing(newest)),
        },
    };
    // The first number that can be meant, found by time without walking over older events.
    let first = match from.start {
        None => from.after,
        Some(start) => match first_since(connection, group, start, from.after)? {
            Some(first) => first - 1,
            None => return Ok(nothing(newest)),
        },
    };
    let (column, within) = match stream {
        Some(stream) => ("e.stream_id", stream),
        None => ("e.group_id", group),
    };
    let sql = format!(
        "SELECT e.id, s.name, e.at, e.ingested, e.message FROM log_event e JOIN log_stream s ON s.id = e.stream_id
         WHERE {column} = ?1 AND e.id > ?2 AND e.at >= ?3 ORDER BY e.id LIMIT ?4"
    );
    let limit = page_limit(query.limit, usize::MAX)?.saturating_add(1);
    let start = from.start.map_or(i64::MIN, |start| start.0);
    let mut sql = connection.prepare_cached(&sql).during(what())?;
    let mut rows = sql.query(params![within, first, start, limit]).during(what())?;
    let (mut page, mut bytes, mut last) = (nothing(newest), 0, from.after);
    while let Some(row) = rows.next().during(what())? {
        let (id, record) = record(row).during(what())?;
        bytes += record.message.len();
        if !page.records.is_empty() && (page.records.len() >= query.limit || bytes > LOG_BATCH_MAX) {
            page.next = From { after: last, ..from }.cursor();
            break;
        }
        last = id;
        page.records.push(record);
    }
    Ok(page)
}

/// The number given out last to any event, also when that has been removed.
fn newest(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'log_event'")
        .and_then(|mut sql| sql.query_row([], |row| row.get(0)).optional())
        .map(Option::unwrap_or_default)
        .during("reading the end of the logs")
}

fn stream(connection: &Connection, group: i64, name: &str) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM log_stream WHERE group_id = ?1 AND name = ?2")
        .and_then(|mut sql| sql.query_row(params![group, name], |row| row.get(0)).optional())
        .during(format!("looking up log stream `{name}`"))
}

fn first_since(connection: &Connection, group: i64, start: Millis, after: i64) -> Result<Option<i64>> {
    connection
        .prepare_cached("SELECT min(id) FROM log_event WHERE group_id = ?1 AND at >= ?2 AND id > ?3")
        .and_then(|mut sql| sql.query_row(params![group, start.0, after], |row| row.get(0)))
        .during("looking for log events by time")
}

fn record(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, LogRecord)> {
    let id: i64 = row.get(0)?;
    let record = LogRecord {
        id: format!("{id:026}"),
        stream: row.get(1)?,
        at: Millis(row.get(2)?),
        ingested: Millis(row.get(3)?),
        message: row.get(4)?,
    };
    Ok((id, record))
}
