//! `Logs` on Amazon CloudWatch Logs.
//!
//! Events come in order of their time, as the service orders them; `window` says how late an event may be. `append` is
//! at least once. A log that someone watches is followed by a live tail session, `live`, and read by cursor beside it.

mod append;
mod failure;
mod limits;
mod live;
mod read;
mod window;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::types::LogGroup;
use cloud::{Error, LogCursor, LogEvent, LogPage, LogQuery, LogStream, LogTail, Logs, Millis, Result};
use tokio::time::Instant;

use crate::Aws;
use failure::{Kind, failed, kind, pause};
use read::{Found, Source, search};
use window::{Window, with_token};

pub use live::LiveTail;

/// Longest wait for the first event.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// How long a reader waits before it asks again: grows, for accounts may ask a few times a second in all.
const POLL_FIRST: Duration = Duration::from_millis(500);
const POLL_LONGEST: Duration = Duration::from_secs(2);
/// How often a change is tried while another change of the same group runs.
const CHANGE_ATTEMPTS: u32 = 5;
/// Groups or streams in one page (`DescribeLogGroups`, `DescribeLogStreams`).
const DESCRIBE_PAGE: i32 = 50;

pub struct CloudWatchLogs {
    aws: Aws,
    live: LiveTail,
    client: OnceLock<Client>,
}

impl Aws {
    pub fn logs(&self) -> CloudWatchLogs {
        self.logs_with(LiveTail::default())
    }

    /// Logs with other times for live tail sessions.
    pub fn logs_with(&self, live: LiveTail) -> CloudWatchLogs {
        CloudWatchLogs { aws: self.clone(), live, client: OnceLock::new() }
    }
}

impl CloudWatchLogs {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(self.aws.config()))
    }

    async fn set_retention(&self, group: &str, days: Option<u32>) -> Result<()> {
        let what = || format!("setting the retention of `{group}`");
        let client = self.client();
        for attempt in 1.. {
            let (again, error) = match days {
                Some(days) => {
                    let days = i32::try_from(days).unwrap_or(i32::MAX);
                    let request = client.put_retention_policy().log_group_name(group).retention_in_days(days);
                    match request.send().await {
                        Ok(_) => return Ok(()),
                        Err(error) => (kind(&error), failed(what(), group, error)),
                    }
                }
                None => match client.delete_retention_policy().log_group_name(group).send().await {
                    Ok(_) => return Ok(()),
                    Err(error) => (kind(&error), failed(what(), group, error)),
                },
            };
            // A group that was made a moment ago may not be there yet for a change.
            if !matches!(again, Kind::Aborted | Kind::NotFound) || attempt == CHANGE_ATTEMPTS {
                return Err(error);
            }
            tokio::time::sleep(pause(attempt, Duration::from_millis(200), POLL_LONGEST)).await;
        }
        Ok(())
    }
}

/// The group of exactly this name.
async fn describe(client: &Client, group: &str) -> Result<Option<LogGroup>> {
    let answer = client.describe_log_groups().log_group_name_prefix(group).limit(DESCRIBE_PAGE).send().await;
    let answer = answer.map_err(|error| failed(format!("looking up `{group}`"), group, error))?;
    // Names come in order, and a name is before all that it begins.
    Ok(answer.log_groups.unwrap_or_default().into_iter().find(|found| found.log_group_name() == Some(group)))
}

#[async_trait]
impl Logs for CloudWatchLogs {
    async fn ensure_group(&self, group: &str, retention_days: Option<u32>) -> Result<()> {
        limits::check_group(group)?;
        for attempt in 1.. {
            match self.client().create_log_group().log_group_name(group).send().await {
                Ok(_) if retention_days.is_none() => return Ok(()),
                Ok(_) => break,
                Err(error) => match kind(&error) {
                    Kind::AlreadyExists => break,
                    Kind::Aborted if attempt < CHANGE_ATTEMPTS => {
                        tokio::time::sleep(pause(attempt, Duration::from_millis(200), POLL_LONGEST)).await;
                    }
                    _ => return Err(failed(format!("creating the log group `{group}`"), group, error)),
                },
            }
        }
        self.set_retention(group, retention_days).await
    }

    async fn append(&self, group: &str, stream: &str, events: Vec<LogEvent>) -> Result<()> {
        append::append(self.client(), group, stream, events).await
    }

    async fn read(&self, query: LogQuery) -> Result<LogPage> {
        limits::check_page(query.limit)?;
        let source = Source { group: query.group.clone(), stream: query.stream.clone() };
        let (mut window, mut token) = match &query.cursor {
            Some(cursor) => Window::parse(cursor)?,
            None => (Window::starting(query.start), None),
        };
        let deadline = Instant::now() + query.wait.min(WAIT_MAX);
        for attempt in 1.. {
            let wait = pause(attempt, POLL_FIRST, POLL_LONGEST);
            let last = Instant::now() + wait > deadline;
            let found = match search(self.client(), &source, &mut window, query.limit, token.clone()).await {
                // Whoever waits may as well wait until the service has time again.
                Err(Error::Unavailable(_)) if !last => Found { token, ..Found::default() },
                other => other?,
            };
            token = found.token;
            if !found.records.is_empty() || last {
                return Ok(page(found.records, &window, found.unread, token.as_deref()));
            }
            if token.is_none() {
                tokio::time::sleep(wait).await;
            }
        }
        Err(Error::Unavailable(format!("reading `{}`", query.group)))
    }

    async fn follow(&self, query: LogQuery) -> Result<Option<Box<dyn LogTail>>> {
        limits::check_page(query.limit)?;
        let window = match &query.cursor {
            Some(cursor) => Window::parse(cursor)?.0,
            None => Window::starting(query.start),
        };
        Ok(Some(Box::new(live::Tail::new(self.client().clone(), self.live, query, window))))
    }

    async fn streams(&self, group: &str, after: Option<&str>, limit: usize) -> Result<Vec<LogStream>> {
        let mut pages =
            self.client().describe_log_streams().log_group_name(group).limit(DESCRIBE_PAGE).into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| failed(format!("listing the streams of `{group}`"), group, error))?;
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
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty()).map(str::to_owned);
        let request = self.client().describe_log_groups().limit(DESCRIBE_PAGE);
        let mut pages = request.set_log_group_name_prefix(prefix.clone()).into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            let what = || format!("listing log groups under `{}`", prefix.as_deref().unwrap_or_default());
            let page = page.map_err(|error| failed(what(), "log groups", error))?;
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
        match self.client().delete_log_group().log_group_name(group).send().await {
            Ok(_) => Ok(()),
            Err(error) if kind(&error) == Kind::NotFound => Ok(()),
            Err(error) => Err(failed(format!("deleting the log group `{group}`"), group, error)),
        }
    }
}

/// A page that ends where the window does.
fn page(records: Vec<cloud::LogRecord>, window: &Window, unread: Option<i64>, token: Option<&str>) -> LogPage {
    let next: LogCursor = with_token(window.settled_cursor(unread), token);
    LogPage { records, next }
}
