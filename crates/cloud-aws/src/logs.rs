//! `Logs` on Amazon CloudWatch Logs.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::operation::filter_log_events::FilterLogEventsOutput;
use aws_sdk_cloudwatchlogs::types::InputLogEvent;
use cloud::{Error, LogCursor, LogEvent, LogPage, LogQuery, LogRecord, LogStream, Logs, Millis, Result, limits};
use serde::{Deserialize, Serialize};

use crate::{Aws, failure};

/// How often a group is asked while a reader waits.
const POLL: Duration = Duration::from_millis(500);
/// Events this young may still be joined by earlier ones from another stream.
const SETTLE_MS: i64 = 2_000;

pub struct CloudWatchLogs {
    client: Client,
}

impl Aws {
    pub fn logs(&self) -> CloudWatchLogs {
        CloudWatchLogs { client: Client::new(self.config()) }
    }
}

/// Where a reader is: everything before `from` was read, and at or after it the events in `seen`.
#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    from: i64,
    seen: BTreeSet<String>,
}

impl Cursor {
    fn parse(raw: &LogCursor) -> Result<Self> {
        serde_json::from_str(&raw.0).map_err(|_| Error::Stale("the log cursor"))
    }

    /// Takes what is new in a page, in order of time, and moves on. Ids are kept for as long as an earlier
    /// event may still arrive, so that nothing is skipped and nothing repeats.
    fn take(&mut self, mut records: Vec<LogRecord>) -> Vec<LogRecord> {
        records.retain(|record| !self.seen.contains(&record.id));
        records.sort_by(|a, b| (a.at.0, &a.id).cmp(&(b.at.0, &b.id)));
        self.seen.extend(records.iter().map(|record| record.id.clone()));
        records
    }

    fn settle(&mut self, newest: i64, ids_of: impl Fn(i64) -> BTreeSet<String>) {
        let settled = newest.saturating_sub(SETTLE_MS);
        if settled > self.from {
            self.from = settled;
            self.seen = ids_of(settled);
        }
    }

    fn write(&self) -> Result<LogCursor> {
        serde_json::to_string(self).map(LogCursor).map_err(|error| Error::other("writing a cursor", error))
    }
}

fn records(answer: &FilterLogEventsOutput) -> Vec<LogRecord> {
    answer
        .events()
        .iter()
        .map(|event| LogRecord {
            id: event.event_id().unwrap_or_default().to_owned(),
            stream: event.log_stream_name().unwrap_or_default().to_owned(),
            at: Millis(event.timestamp().unwrap_or_default()),
            ingested: Millis(event.ingestion_time().unwrap_or_default()),
            message: event.message().unwrap_or_default().to_owned(),
        })
        .collect()
}

impl CloudWatchLogs {
    /// Every page from `from` on, up to `limit` events. Filtering is ours: the service's page may be empty and go on.
    async fn scan(&self, query: &LogQuery, from: i64, limit: usize) -> Result<Vec<LogRecord>> {
        let (mut all, mut token) = (Vec::new(), None::<String>);
        loop {
            let answer = self
                .client
                .filter_log_events()
                .log_group_name(&query.group)
                .set_log_stream_names(query.stream.clone().map(|name| vec![name]))
                .start_time(from)
                .limit(i32::try_from(limits::LOG_PAGE_EVENTS_MAX).unwrap_or(i32::MAX))
                .set_next_token(token)
                .send()
                .await
                .map_err(|error| match error.as_service_error() {
                    Some(e) if e.is_resource_not_found_exception() => Error::NotFound(query.group.clone()),
                    _ => failure(format!("reading `{}`", query.group), error),
                })?;
            all.extend(records(&answer));
            token = answer.next_token().map(str::to_owned);
            if token.is_none() || all.len() >= limit {
                return Ok(all);
            }
        }
    }
}

#[async_trait]
impl Logs for CloudWatchLogs {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        match self.client.create_log_group().log_group_name(group).send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_already_exists_exception()) => {}
            Err(error) => return Err(failure(format!("creating the log group `{group}`"), error)),
        }
        if let Some(days) = retention_days {
            self.client
                .put_retention_policy()
                .log_group_name(group)
                .retention_in_days(i32::try_from(days).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| failure(format!("setting the retention of `{group}`"), error))?;
        }
        Ok(())
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        let mut batch = Vec::with_capacity(events.len());
        for event in events {
            let built = InputLogEvent::builder().timestamp(event.at.0).message(event.message).build();
            batch.push(built.map_err(|error| Error::other("building a log event", error))?);
        }
        // The service takes a batch in order of time.
        batch.sort_by_key(InputLogEvent::timestamp);
        let put = || {
            let request = self.client.put_log_events().log_group_name(group).log_stream_name(stream);
            request.set_log_events(Some(batch.clone())).send()
        };
        match put().await {
            Ok(_) => return Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => {}
            Err(error) => return Err(failure(format!("appending to `{group}`"), error)),
        }
        self.ensure_group(group, None).await?;
        match self.client.create_log_stream().log_group_name(group).log_stream_name(stream).send().await {
            Ok(_) => {}
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_already_exists_exception()) => {}
            Err(error) => return Err(failure(format!("creating the log stream `{stream}`"), error)),
        }
        put().await.map(drop).map_err(|error| failure(format!("appending to `{group}`"), error))
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        let mut cursor = match &query.cursor {
            Some(raw) => Cursor::parse(raw)?,
            None => Cursor { from: query.start.map_or(0, |at| at.0), seen: BTreeSet::new() },
        };
        let limit = query.limit.clamp(1, limits::LOG_PAGE_EVENTS_MAX);
        let deadline = tokio::time::Instant::now() + query.wait;
        loop {
            let found = self.scan(&query, cursor.from, limit + cursor.seen.len()).await?;
            let times: Vec<(i64, String)> = found.iter().map(|r| (r.at.0, r.id.clone())).collect();
            let mut fresh = cursor.take(found);
            for extra in fresh.drain(limit.min(fresh.len())..) {
                cursor.seen.remove(&extra.id);
            }
            if fresh.is_empty() && tokio::time::Instant::now() + POLL <= deadline {
                tokio::time::sleep(POLL).await;
                continue;
            }
            if let Some(newest) = fresh.last().map(|record| record.at.0) {
                let seen = cursor.seen.clone();
                cursor.settle(newest, |from| {
                    times.iter().filter(|(at, id)| *at >= from && seen.contains(id)).map(|(_, id)| id.clone()).collect()
                });
            }
            return Ok(LogPage { records: fresh, next: cursor.write()? });
        }
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        let mut pages = self.client.describe_log_streams().log_group_name(group).into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| match error.as_service_error() {
                Some(e) if e.is_resource_not_found_exception() => Error::NotFound(group.to_owned()),
                _ => failure(format!("listing the streams of `{group}`"), error),
            })?;
            for stream in page.log_streams() {
                let name = stream.log_stream_name().unwrap_or_default();
                if after.is_none_or(|after| name > after) {
                    let (first, last) = (stream.first_event_timestamp(), stream.last_event_timestamp());
                    all.push(LogStream { name: name.to_owned(), first: first.map(Millis), last: last.map(Millis) });
                }
                if all.len() == limit {
                    return Ok(all);
                }
            }
        }
        Ok(all)
    }

    async fn groups(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>> {
        let mut pages = self.client.describe_log_groups().log_group_name_prefix(prefix).into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failure(format!("listing log groups under `{prefix}`"), error))?;
            let names = page.log_groups().iter().filter_map(|group| group.log_group_name());
            all.extend(names.filter(|name| after.is_none_or(|after| *name > after)).map(str::to_owned));
            if all.len() >= limit {
                all.truncate(limit);
                return Ok(all);
            }
        }
        Ok(all)
    }

    async fn delete_group(&self, group: &str) -> Result<()> {
        match self.client.delete_log_group().log_group_name(group).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) => Ok(()),
            Err(error) => Err(failure(format!("deleting the log group `{group}`"), error)),
        }
    }
}
