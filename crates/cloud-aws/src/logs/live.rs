//! A log that someone watches: a live tail session beside reads by cursor.
//!
//! The session brings events within a second and may leave some out: it passes on 500 a second, and drops what its client
//! is too slow for. So the log is read by cursor too: when the session has begun, from time to time, and soon after it
//! left something out. Only such a read moves the place from which another reader would go on. When the service has no
//! session to give, reads alone follow the log.

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_cloudwatchlogs::Client;
use aws_sdk_cloudwatchlogs::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_cloudwatchlogs::config::retry::RetryConfig;
use aws_sdk_cloudwatchlogs::config::timeout::TimeoutConfig;
use aws_sdk_cloudwatchlogs::config::{Builder, ConfigBag, Intercept, RuntimeComponents, StalledStreamProtectionConfig};
use aws_sdk_cloudwatchlogs::error::BoxError;
use aws_sdk_cloudwatchlogs::operation::start_live_tail::StartLiveTailOutput;
use aws_sdk_cloudwatchlogs::types::{LiveTailSessionUpdate, StartLiveTailResponseStream};
use cloud::{Error, LogCursor, LogPage, LogQuery, LogRecord, LogTail, LogUpdate, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::failure::{Kind, failed, kind, pause};
use super::read::{Source, search};
use super::window::{Names, RawEvent, SEEN_WHILE_FOLLOWED_MAX, Window, record};
use super::{POLL_FIRST, POLL_LONGEST, WAIT_MAX, describe};

/// Updates of a session that wait to be read; the service buffers ten more and then drops the oldest.
const UPDATES_MAX: usize = 8;
const START_TIMEOUT: Duration = Duration::from_secs(5);
/// A read this long after events were left out finds them.
const SAMPLED_READ: Duration = Duration::from_secs(2);
/// Pauses before a session is asked for again that broke, or was refused.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_LONGEST: Duration = Duration::from_secs(60);
const STREAM_PREFIX: &str = "stream-";

/// Times of live tail sessions.
#[derive(Clone, Copy, Debug)]
pub struct LiveTail {
    /// A session is replaced after this; the service ends it after three hours.
    pub renew_after: Duration,
    /// How often the log is read by cursor while a session runs.
    pub read_every: Duration,
    /// A session sends an update each second, an empty one when nothing was logged. One that is silent for longer than
    /// this is broken.
    pub silence_max: Duration,
}

impl Default for LiveTail {
    fn default() -> Self {
        Self {
            renew_after: Duration::from_secs(170 * 60),
            read_every: Duration::from_secs(10),
            silence_max: Duration::from_secs(10),
        }
    }
}

/// A followed log.
pub(super) struct Tail {
    client: Client,
    times: LiveTail,
    source: Source,
    limit: usize,
    window: Window,
    /// Where a search through empty pages goes on.
    token: Option<String>,
    /// From here nothing is missing, and what came live since may come again.
    sure: LogCursor,
    /// When the log is read next.
    read_at: Instant,
    /// Reads since something was found.
    idle: u32,
    is_caught_up: bool,
    session: Option<Session>,
    /// Before this no session is asked for.
    open_at: Instant,
    refusals: u32,
    arn: Option<String>,
    names: Names,
    heard: VecDeque<LogRecord>,
    sampled: bool,
}

struct Session {
    updates: mpsc::Receiver<LiveTailSessionUpdate>,
    opened: Instant,
    task: JoinHandle<()>,
}

impl Drop for Session {
    /// Ends the connection, and with it the session that is paid for by the minute.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tail {
    pub fn new(client: Client, times: LiveTail, query: LogQuery, window: Window) -> Self {
        let sure = window.settled_cursor(None);
        Self {
            client,
            times,
            source: Source { group: query.group, stream: query.stream },
            limit: query.limit,
            window,
            token: None,
            sure,
            read_at: Instant::now(),
            idle: 0,
            is_caught_up: false,
            session: None,
            open_at: Instant::now(),
            refusals: 0,
            arn: None,
            names: Names::default(),
            heard: VecDeque::new(),
            sampled: false,
        }
    }

    /// Reads by cursor what the session has not brought.
    async fn read(&mut self) -> Result<Vec<LogRecord>> {
        let found = search(&self.client, &self.source, &mut self.window, self.limit, self.token.take()).await?;
        self.token = found.token;
        self.is_caught_up = found.unread.is_none();
        self.window.settle(found.unread, SEEN_WHILE_FOLLOWED_MAX);
        self.names.forget(self.window.from);
        self.sure = self.window.settled_cursor(found.unread);
        self.idle = if found.records.is_empty() { self.idle.saturating_add(1) } else { 0 };
        let next = match (self.is_caught_up, &self.session) {
            (false, _) => Duration::ZERO,
            (true, Some(_)) => self.times.read_every,
            (true, None) => pause(self.idle.max(1), POLL_FIRST, POLL_LONGEST),
        };
        self.read_at = Instant::now() + next;
        Ok(found.records)
    }

    /// Opens a session when there is none, and another before the service ends it.
    async fn keep_session(&mut self) {
        let now = Instant::now();
        if self.session.as_ref().is_some_and(|session| now.duration_since(session.opened) >= self.times.renew_after) {
            self.session = None;
        }
        if self.session.is_some() || !self.is_caught_up || now < self.open_at {
            return;
        }
        match self.open().await {
            Ok(session) => {
                self.session = Some(session);
                self.names = Names::default();
                // What was logged between the last read and the start of the session.
                self.read_at = Instant::now();
            }
            Err((kind, error)) => {
                self.refusals = self.refusals.saturating_add(1);
                let first = if kind == Kind::Throttled { AGAIN_LONGEST } else { AGAIN_FIRST };
                self.open_at = Instant::now() + pause(self.refusals, first, AGAIN_LONGEST);
                tracing::warn!(group = self.source.group, %error, "no live tail: the log is followed by reads");
            }
        }
    }

    async fn open(&mut self) -> Result<Session, (Kind, Error)> {
        let arn = match &self.arn {
            Some(arn) => arn.clone(),
            None => self.find_arn().await.map_err(|error| (Kind::Other, error))?,
        };
        self.arn = Some(arn.clone());
        let request = self.client.start_live_tail().log_group_identifiers(arn);
        let alone = Builder::new()
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(START_TIMEOUT).build())
            // A second without a byte is nothing unusual here; `silence_max` is the measure.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(OwnHost);
        let request = request.set_log_stream_names(self.source.stream.clone().map(|name| vec![name]));
        match request.customize().config_override(alone).send().await {
            Ok(output) => {
                let (sender, updates) = mpsc::channel(UPDATES_MAX);
                let task = tokio::spawn(listen(output, sender, self.times.silence_max));
                Ok(Session { updates, opened: Instant::now(), task })
            }
            Err(error) => {
                let what = format!("following `{}`", self.source.group);
                Err((kind(&error), failed(what, &self.source.group, error)))
            }
        }
    }

    /// Live tail names groups by their ARN, without `:*`.
    async fn find_arn(&self) -> Result<String> {
        let group = describe(&self.client, &self.source.group).await?;
        let arn = group.and_then(|group| group.log_group_arn.or(group.arn));
        let arn = arn.ok_or_else(|| Error::NotFound(self.source.group.clone()))?;
        Ok(arn.strip_suffix(":*").map(str::to_owned).unwrap_or(arn))
    }

    /// Notes what of an update is new.
    fn hear(&mut self, update: LiveTailSessionUpdate) {
        self.sampled = update.session_metadata.is_some_and(|metadata| metadata.sampled);
        let events = update.session_results.unwrap_or_default().into_iter();
        let mut events: Vec<RawEvent> = events
            .map(|event| RawEvent {
                stream: event.log_stream_name.unwrap_or_default(),
                at: event.timestamp.unwrap_or_default(),
                ingested: event.ingestion_time.unwrap_or_default(),
                message: event.message.unwrap_or_default(),
            })
            .collect();
        events.sort_by_key(|event| (event.at, event.ingested));
        for event in events {
            let (id, mark) = self.names.name(&event);
            // What is older than the window was read, or comes too late as it would for a read.
            if event.at >= self.window.from && !self.window.has(event.at, mark) {
                self.window.note(event.at, mark);
                self.heard.push_back(record(event, id));
            }
        }
        self.refusals = 0;
        if self.sampled {
            self.read_at = self.read_at.min(Instant::now() + SAMPLED_READ);
        }
        if self.window.read() > SEEN_WHILE_FOLLOWED_MAX {
            self.read_at = Instant::now();
        }
    }

    /// A part of what was heard.
    fn heard(&mut self) -> Option<LogUpdate> {
        if self.heard.is_empty() {
            return None;
        }
        let records = self.heard.drain(..self.limit.min(self.heard.len())).collect();
        // Until all that was heard is passed on, the window is ahead of the reader.
        let next = if self.heard.is_empty() { self.window.cursor() } else { None };
        let next = next.unwrap_or_else(|| self.sure.clone());
        Some(LogUpdate { page: LogPage { records, next }, sampled: self.sampled })
    }

    async fn listen(&mut self, until: Instant) {
        let Some(session) = &mut self.session else { return tokio::time::sleep_until(until).await };
        match timeout_at(until, session.updates.recv()).await {
            Ok(Some(update)) => self.hear(update),
            Ok(None) => {
                self.session = None;
                self.refusals = self.refusals.saturating_add(1);
                self.open_at = Instant::now() + pause(self.refusals, AGAIN_FIRST, AGAIN_LONGEST);
                // What it did not bring any more.
                self.read_at = Instant::now();
            }
            Err(_) => {}
        }
    }
}

#[async_trait]
impl LogTail for Tail {
    async fn next(&mut self, wait: Duration) -> Result<LogUpdate> {
        let deadline = Instant::now() + wait.min(WAIT_MAX);
        loop {
            if let Some(update) = self.heard() {
                return Ok(update);
            }
            if Instant::now() >= self.read_at {
                match self.read().await {
                    Ok(records) if records.is_empty() => {}
                    Ok(records) => {
                        return Ok(LogUpdate { page: LogPage { records, next: self.sure.clone() }, sampled: false });
                    }
                    Err(Error::Unavailable(_)) => {
                        self.idle = self.idle.saturating_add(1);
                        self.read_at = Instant::now() + pause(self.idle, POLL_FIRST, POLL_LONGEST);
                    }
                    Err(error) => return Err(error),
                }
            }
            self.keep_session().await;
            self.listen(deadline.min(self.read_at)).await;
            if self.heard.is_empty() && Instant::now() >= deadline {
                let next = self.window.cursor().unwrap_or_else(|| self.sure.clone());
                return Ok(LogUpdate { page: LogPage { records: Vec::new(), next }, sampled: self.sampled });
            }
        }
    }

    async fn rest(&mut self, wait: Duration) -> Result<LogPage> {
        if let Some(update) = self.heard() {
            return Ok(update.page);
        }
        let deadline = Instant::now() + wait.min(WAIT_MAX);
        for attempt in 1.. {
            let wait = pause(attempt, POLL_FIRST, POLL_LONGEST);
            let last = Instant::now() + wait > deadline;
            let records = match self.read().await {
                Err(Error::Unavailable(_)) if !last => Vec::new(),
                other => other?,
            };
            if !records.is_empty() || (last && self.is_caught_up) {
                return Ok(LogPage { records, next: self.sure.clone() });
            }
            if self.is_caught_up {
                tokio::time::sleep(wait).await;
            }
        }
        Err(Error::Unavailable(format!("reading `{}`", self.source.group)))
    }
}

/// Passes a session's updates on until it ends or breaks.
async fn listen(mut output: StartLiveTailOutput, sender: mpsc::Sender<LiveTailSessionUpdate>, silence_max: Duration) {
    loop {
        let update = match timeout(silence_max, output.response_stream.recv()).await {
            Ok(Ok(Some(StartLiveTailResponseStream::SessionUpdate(update)))) => update,
            Ok(Ok(Some(_))) => continue,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => return tracing::info!(%error, "a live tail session ended"),
            Err(_) => return tracing::warn!("a live tail session fell silent"),
        };
        if sender.send(update).await.is_err() {
            return;
        }
    }
}

/// AWS answers live tails at a host of their own, `stream-logs.{region}…`; an endpoint that was set is one host for all.
#[derive(Debug)]
struct OwnHost;

impl Intercept for OwnHost {
    fn name(&self) -> &'static str {
        "OwnHost"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(own) = own_host(context.request().uri()) {
            context.request_mut().set_uri(own)?;
        }
        Ok(())
    }
}

/// The address without the prefix, unless it is AWS's own.
fn own_host(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let rest = rest.strip_prefix(STREAM_PREFIX)?;
    let host = rest.split(['/', ':', '?']).next()?;
    let is_aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|suffix| host.ends_with(suffix));
    if is_aws { None } else { Some(format!("{scheme}://{rest}")) }
}

#[cfg(test)]
mod tests {
    use super::own_host;

    #[test]
    fn only_aws_has_a_host_of_its_own_for_live_tails() {
        assert_eq!(own_host("http://stream-127.0.0.1:4566/").as_deref(), Some("http://127.0.0.1:4566/"));
        assert_eq!(own_host("http://stream-localhost:1/x").as_deref(), Some("http://localhost:1/x"));
        assert_eq!(own_host("https://stream-logs.eu-central-1.amazonaws.com/"), None);
        assert_eq!(own_host("http://127.0.0.1:4566/"), None);
    }
}
