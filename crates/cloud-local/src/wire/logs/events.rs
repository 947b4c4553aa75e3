//! Reading events: a stream from either end, and a group by time and pattern.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloud::limits::LOG_PAGE_EVENTS_MAX;
use cloud::{LogCursor, LogPage, LogQuery, LogRecord, Millis};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filter::Pattern;
use super::{Scoped, group_name, invalid, port};
use crate::wire::reply::{Answer, Failure};

/// One page of an answer (bytes of messages), as CloudWatch Logs keeps it.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Events looked at in one call; a search that needs more goes on with its token.
const SCAN_MAX: usize = 100_000;
const STREAMS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// What a token of GetLogEvents says. Opaque to callers.
#[derive(Serialize, Deserialize)]
enum Token {
    /// On from here.
    #[serde(rename = "f")]
    Forward(LogCursor),
    /// What comes before the event with this id.
    #[serde(rename = "b")]
    Backward(String),
}

impl Token {
    fn write(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a token is plain JSON"))
    }

    fn read(raw: &str) -> Answer<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(raw).map_err(|_| invalid("the nextToken is not valid"))?;
        serde_json::from_slice(&bytes).map_err(|_| invalid("the nextToken is not valid"))
    }
}

/// Times are milliseconds; the end is exclusive for GetLogEvents and inclusive for FilterLogEvents.
struct Window {
    start: Option<Millis>,
    end: i64,
}

impl Window {
    fn has(&self, record: &LogRecord) -> bool {
        self.start.is_none_or(|start| record.at >= start) && record.at.0 < self.end
    }
}

impl Scoped {
    pub(super) async fn get_events(&self, asked: GetEvents) -> Answer {
        let group = group_name(asked.log_group_name.as_deref(), asked.log_group_identifier.as_deref())?;
        let limit = limit(asked.limit)?;
        let window = Window { start: asked.start_time.map(Millis), end: asked.end_time.unwrap_or(i64::MAX) };
        self.needs_stream(group, &asked.log_stream_name).await?;
        let query = |cursor| query(group, Some(&asked.log_stream_name), window.start, cursor);
        match asked.next_token.as_deref().map(Token::read).transpose()? {
            Some(Token::Forward(cursor)) => self.forward(query(Some(cursor)), &window, limit).await,
            Some(Token::Backward(before)) => self.backward(query(None), &window, limit, Some(&before)).await,
            None if asked.start_from_head => self.forward(query(None), &window, limit).await,
            None => self.backward(query(None), &window, limit, None).await,
        }
    }

    async fn forward(&self, mut query: LogQuery, window: &Window, limit: usize) -> Answer {
        let (mut found, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        let next = loop {
            query.limit = (limit - found.len()).min(LOG_PAGE_EVENTS_MAX);
            let page = self.page(&query).await?;
            let done = page.records.is_empty();
            scanned += page.records.len();
            bytes += size(&page.records);
            found.extend(page.records.into_iter().filter(|record| window.has(record)));
            if done || found.len() >= limit || bytes >= PAGE_BYTES_MAX || scanned >= SCAN_MAX {
                break page.next;
            }
            query.cursor = Some(page.next);
        };
        Ok(events_answer(&found, &Token::Forward(next)))
    }

    /// The last `limit` events, or those before the event `before`: the stream is read through.
    async fn backward(&self, mut query: LogQuery, window: &Window, limit: usize, before: Option<&str>) -> Answer {
        let mut kept: VecDeque<LogRecord> = VecDeque::new();
        let next = 'read: loop {
            query.limit = LOG_PAGE_EVENTS_MAX;
            let page = self.page(&query).await?;
            if page.records.is_empty() {
                break page.next;
            }
            for record in page.records {
                if before == Some(record.id.as_str()) {
                    break 'read page.next;
                }
                if window.has(&record) {
                    kept.push_back(record);
                }
                if kept.len() > limit {
                    kept.pop_front();
                }
            }
            query.cursor = Some(page.next);
        };
        let mut bytes = 0;
        let fits = kept.iter().rev().take_while(|record| {
            bytes += record.message.len();
            bytes <= PAGE_BYTES_MAX
        });
        let fits = fits.count().max(1).min(kept.len());
        let found: Vec<LogRecord> = kept.into_iter().rev().take(fits).rev().collect();
        if found.is_empty() {
            let mut answer = events_answer(&found, &Token::Forward(next));
            if let Some(before) = before {
                answer["nextBackwardToken"] = json!(Token::Backward(before.to_owned()).write());
            }
            return Ok(answer);
        }
        Ok(events_answer(&found, &Token::Forward(next)))
    }

    pub(super) async fn filter_events(&self, asked: FilterEvents) -> Answer {
        let group = group_name(asked.log_group_name.as_deref(), asked.log_group_identifier.as_deref())?;
        let limit = limit(asked.limit)?;
        let pattern = Pattern::parse(asked.filter_pattern.as_deref().unwrap_or_default()).map_err(invalid)?;
        let streams = Streams::of(asked.log_stream_names, asked.log_stream_name_prefix)?;
        let end = asked.end_time.map_or(i64::MAX, |end| end.saturating_add(1));
        let window = Window { start: asked.start_time.map(Millis), end };
        let mut query = query(group, None, window.start, asked.next_token.map(LogCursor));
        let (mut found, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        loop {
            query.limit = (limit - found.len()).min(LOG_PAGE_EVENTS_MAX);
            let page = self.page(&query).await?;
            if page.records.is_empty() {
                return Ok(json!({"events": views(&found), "searchedLogStreams": []}));
            }
            scanned += page.records.len();
            let fits = |record: &LogRecord| {
                window.has(record) && streams.has(&record.stream) && pattern.matches(&record.message)
            };
            let hits: Vec<LogRecord> = page.records.into_iter().filter(fits).collect();
            bytes += size(&hits);
            found.extend(hits);
            if found.len() >= limit || bytes >= PAGE_BYTES_MAX || scanned >= SCAN_MAX {
                return Ok(json!({"events": views(&found), "searchedLogStreams": [], "nextToken": page.next.0}));
            }
            query.cursor = Some(page.next);
        }
    }

    async fn page(&self, query: &LogQuery) -> Answer<LogPage> {
        self.logs.read(query.clone()).await.map_err(port)
    }

    async fn needs_stream(&self, group: &str, name: &str) -> Answer<()> {
        let streams = self.all_streams(group, name).await?;
        if streams.iter().any(|stream| stream.name == name) {
            return Ok(());
        }
        Err(Failure::new(super::ABSENT, "the specified log stream does not exist"))
    }
}

/// The streams of a group that are asked for.
enum Streams {
    All,
    Named(BTreeSet<String>),
    Prefixed(String),
}

impl Streams {
    fn of(names: Option<Vec<String>>, prefix: Option<String>) -> Answer<Self> {
        match (names, prefix) {
            (Some(_), Some(_)) => Err(invalid("stream names and a prefix of them exclude each other")),
            (Some(names), None) if names.len() > STREAMS_MAX => Err(invalid("at most 100 streams")),
            (Some(names), None) => Ok(Self::Named(names.into_iter().collect())),
            (None, Some(prefix)) => Ok(Self::Prefixed(prefix)),
            (None, None) => Ok(Self::All),
        }
    }

    fn has(&self, stream: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.contains(stream),
            Self::Prefixed(prefix) => stream.starts_with(prefix),
        }
    }
}

fn query(group: &str, stream: Option<&str>, start: Option<Millis>, cursor: Option<LogCursor>) -> LogQuery {
    LogQuery {
        group: group.to_owned(),
        stream: stream.map(str::to_owned),
        start,
        cursor,
        limit: LOG_PAGE_EVENTS_MAX,
        wait: Duration::ZERO,
    }
}

fn limit(asked: Option<usize>) -> Answer<usize> {
    match asked {
        None => Ok(LOG_PAGE_EVENTS_MAX),
        Some(limit) if (1..=LOG_PAGE_EVENTS_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(invalid(format!("limit is 1 to {LOG_PAGE_EVENTS_MAX}"))),
    }
}

fn size(records: &[LogRecord]) -> usize {
    records.iter().map(|record| record.message.len()).sum()
}

fn views(records: &[LogRecord]) -> Vec<Value> {
    records
        .iter()
        .map(|record| {
            json!({
                "eventId": record.id,
                "logStreamName": record.stream,
                "timestamp": record.at.0,
                "ingestionTime": record.ingested.0,
                "message": record.message,
            })
        })
        .collect()
}

fn events_answer(found: &[LogRecord], forward: &Token) -> Value {
    let events: Vec<Value> = found
        .iter()
        .map(|record| json!({"timestamp": record.at.0, "ingestionTime": record.ingested.0, "message": record.message}))
        .collect();
    // With nothing found there is nothing before it either: the backward token stays where the forward one is.
    let backward = match found.first() {
        Some(first) => Token::Backward(first.id.clone()).write(),
        None => forward.write(),
    };
    json!({"events": events, "nextForwardToken": forward.write(), "nextBackwardToken": backward})
}
