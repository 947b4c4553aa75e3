//! Logs over a socket: followed for as long as someone watches.

use std::time::Duration;

use cloud::{ConnectionId, Expect, Millis, Posted, SendMessage, Version, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Connections;
use crate::logs::{self, Followed, Following, LogLine, Logs, LogsQuery};
use crate::{Caller, Error, Job, Jobs, Result, keys};

/// How long one run reads before it hands over to the next: tails take turns at the workers of the queue.
const SLICE: Duration = Duration::from_secs(60);
/// How long one read waits for a line; after it the tail looks whether anyone still watches.
const WAIT: Duration = Duration::from_secs(2);
/// Reads at the end of a run that bring what has not come live, so that the next run repeats nothing.
const LAST_READS_MAX: usize = 20;
/// A runner that has not moved the tail for this long has died.
const RUNNER_LIFE: Duration = Duration::from_secs(90);
/// Lines in one message, cut further by size.
const LINES_MAX: usize = 200;
/// Lines of one message (bytes of JSON): leaves room for the rest within 128 KiB.
const LINES_BYTES_MAX: usize = 96 * 1024;
/// A line longer than this is cut (bytes).
const LINE_BYTES_MAX: usize = 32 * 1024;

/// The log that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TailTarget {
    Job { project: String, job: String },
    Function { project: String, environment: String, function: String },
}

impl TailTarget {
    /// What the client is told: the tail's id, with the log as the client has named it.
    fn told(&self, tail: &str) -> serde_json::Value {
        match self {
            Self::Job { project, job } => json!({ "type": "tailing", "tail": tail, "project": project, "job": job }),
            Self::Function { project, environment, function } => json!({
                "type": "tailing",
                "tail": tail,
                "project": project,
                "environment": environment,
                "function": function,
            }),
        }
    }
}

/// The body of a message in the tail queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailMessage {
    pub connection: ConnectionId,
    pub tail: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct TailRecord {
    v: u32,
    target: TailTarget,
    cursor: Option<String>,
    /// Only what is logged from here on, when there is no cursor.
    start: Option<Millis>,
    /// Who reads now, and since when.
    runner: Option<(String, Millis)>,
}

/// One reader's turn at a tail.
struct Run<'a> {
    message: &'a TailMessage,
    runner: &'a str,
    following: Option<Following>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// Waits for lines as they come.
    Wait,
    /// Reads what has not come, and waits for nothing.
    Rest,
}

/// Whether a tail goes on.
enum Step {
    /// With the number of lines that were sent.
    On(Version, usize),
    /// Nobody watches, or the log is at its end.
    Over,
}

impl Connections {
    /// Starts to follow a log, from a cursor or from `start`; the answer is the tail's id.
    pub async fn start_tail(
        &self,
        connection: &ConnectionId,
        target: TailTarget,
        cursor: Option<String>,
        start: Option<Millis>,
    ) -> Result<String> {
        let caller = self.caller(connection).await?;
        self.source(&caller, &target).await?;
        let most = self.core.quotas.tails_per_connection;
        if self.of_connection(connection, keys::TAIL).await?.len() >= most {
            return Err(Error::Quota(format!("A connection follows at most {most} logs.").into()));
        }
        let tail = self.core.ulid();
        let told = target.told(&tail);
        let record = TailRecord { v: 1, target, cursor, start, runner: None };
        let key = keys::tail(&connection.0, &tail);
        self.core.ports.records.transact(vec![self.kept(key, json!(record), Expect::Absent)]).await?;
        self.post(connection, &told).await?;
        self.send_tail(&TailMessage { connection: connection.clone(), tail: tail.clone() }).await?;
        Ok(tail)
    }

    async fn send_tail(&self, message: &TailMessage) -> Result<()> {
        let body = serde_json::to_string(message).map_err(|e| Error::internal("writing a tail message", e))?;
        self.core.ports.tail_queue.send(SendMessage { body, delay: Duration::ZERO }).await?;
        Ok(())
    }

    /// Stops following; succeeds when there is no such tail.
    pub async fn stop_tail(&self, connection: &ConnectionId, tail: &str) -> Result<()> {
        if !crate::ids::is_ulid(tail) {
            return Err(Error::invalid("tail", "A tail's id has 26 characters of 0-9 and A-Z."));
        }
        let key = keys::tail(&connection.0, tail);
        self.core.ports.records.transact(vec![Write::Delete { key, expect: Expect::Anything }]).await?;
        Ok(())
    }

    async fn source(&self, caller: &Caller, target: &TailTarget) -> Result<logs::Source> {
        let logs = Logs::new(self.core.clone());
        match target {
            TailTarget::Job { project, job } => logs.job_source(caller, project, job).await,
            TailTarget::Function { project, environment, function } => {
                logs.function_source(caller, project, environment, function).await
            }
        }
    }

    /// For the consumer of the tail queue: reads and sends until the time is up, then hands over by a new message. What
    /// is live is so for this long at most, and ends at once when nobody watches.
    pub async fn run_tail(&self, message: &TailMessage) -> Result<()> {
        let runner = self.core.ulid();
        let Some(mut version) = self.take_tail(message, &runner).await? else { return Ok(()) };
        let began = self.core.ports.clock.now();
        let mut run = Run { message, runner: &runner, following: None };
        while self.core.ports.clock.now().since(began) < SLICE {
            match self.step(&mut run, version, Pace::Wait).await? {
                Step::On(next, _) => version = next,
                Step::Over => return Ok(()),
            }
        }
        for _ in 0..LAST_READS_MAX {
            match self.step(&mut run, version, Pace::Rest).await? {
                Step::On(next, lines) => {
                    version = next;
                    if lines == 0 {
                        break;
                    }
                }
                Step::Over => return Ok(()),
            }
        }
        drop(run);
        self.release_tail(message, version).await?;
        self.send_tail(message).await
    }

    async fn take_tail(&self, message: &TailMessage, runner: &str) -> Result<Option<Version>> {
        let key = keys::tail(&message.connection.0, &message.tail);
        let Some(stored) = self.core.read::<TailRecord>(&key).await? else { return Ok(None) };
        let now = self.core.ports.clock.now();
        let mut record = stored.value;
        if record.runner.as_ref().is_some_and(|(_, at)| now.since(*at) < RUNNER_LIFE) {
            return Ok(None);
        }
        record.runner = Some((runner.to_owned(), now));
        self.move_tail(message, &record, stored.version).await
    }

    /// Writes the tail; `None` when someone else has moved or ended it.
    async fn move_tail(&self, message: &TailMessage, record: &TailRecord, at: Version) -> Result<Option<Version>> {
        let key = keys::tail(&message.connection.0, &message.tail);
        match self.core.ports.records.transact(vec![self.kept(key, json!(record), Expect::At(at))]).await {
            Err(error) if error.is_condition_failed() => Ok(None),
            other => Ok(other?.into_iter().next().flatten()),
        }
    }

    async fn release_tail(&self, message: &TailMessage, version: Version) -> Result<()> {
        let key = keys::tail(&message.connection.0, &message.tail);
        if let Some(stored) = self.core.read::<TailRecord>(&key).await? {
            let record = TailRecord { runner: None, ..stored.value };
            self.move_tail(message, &record, version).await?;
        }
        Ok(())
    }

    /// One read and what it brought. Permission and connection are looked at anew each time.
    async fn step(&self, run: &mut Run<'_>, version: Version, pace: Pace) -> Result<Step> {
        let message = run.message;
        let key = keys::tail(&message.connection.0, &message.tail);
        let Some(stored) = self.core.read::<TailRecord>(&key).await? else { return Ok(Step::Over) };
        if stored.version != version {
            return Ok(Step::Over);
        }
        let mut record = stored.value;
        let source = match self.caller(&message.connection).await {
            Ok(caller) => self.source(&caller, &record.target).await,
            Err(error) => Err(error),
        };
        let source = match source {
            Err(Error::NotFound(_) | Error::Forbidden(_)) => {
                return self.end_tail(message, "You may no longer read this log.").await;
            }
            other => other?,
        };
        let was_over = self.is_over(&record.target).await?;
        let wait = if pace == Pace::Wait { WAIT } else { Duration::ZERO };
        let query = LogsQuery { cursor: record.cursor.clone(), start: record.start, limit: Some(LINES_MAX), wait };
        let began = self.core.ports.clock.now();
        let to_the_end = was_over || pace == Pace::Rest;
        let followed = match follow(&mut run.following, &source, &query, to_the_end).await {
            Err(Error::Invalid { .. }) => return self.end_tail(message, "The cursor is not one of this log.").await,
            other => other?,
        };
        let lines = followed.lines.lines.len();
        if lines == 0 && was_over {
            return self.end_tail(message, "The log is complete.").await;
        }
        if lines == 0 && !wait.is_zero() && self.core.ports.clock.now().since(began) < Duration::from_millis(200) {
            // The log does not exist yet: its reads do not wait.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        if !self.post_lines(message, &followed).await? {
            return Ok(Step::Over);
        }
        record.cursor = Some(followed.lines.next);
        record.runner = Some((run.runner.to_owned(), self.core.ports.clock.now()));
        let moved = self.move_tail(message, &record, version).await?;
        Ok(moved.map_or(Step::Over, |version| Step::On(version, lines)))
    }

    /// Whether nothing more will be logged: the job has ended.
    async fn is_over(&self, target: &TailTarget) -> Result<bool> {
        let TailTarget::Job { project, job } = target else { return Ok(false) };
        let Ok(job) = crate::JobId::parse(job.as_str()) else { return Ok(true) };
        let Some(project) = self.core.named_project(project).await? else { return Ok(true) };
        let found: Result<Job> = Jobs::new(self.core.clone()).find(&project, &job).await;
        Ok(found.map_or(true, |job| job.state.is_final()))
    }

    async fn end_tail(&self, message: &TailMessage, reason: &str) -> Result<Step> {
        self.stop_tail(&message.connection, &message.tail).await?;
        let told = json!({ "type": "tail_ended", "tail": message.tail, "reason": reason });
        if self.post(&message.connection, &told).await? == Posted::Gone {
            self.close(&message.connection).await?;
        }
        Ok(Step::Over)
    }

    /// Sends lines in messages that fit; `false` when the connection is gone.
    async fn post_lines(&self, message: &TailMessage, followed: &Followed) -> Result<bool> {
        let read = &followed.lines;
        let mut parts: Vec<Vec<LogLine>> = Vec::new();
        let mut bytes = 0;
        for line in &read.lines {
            let mut line = line.clone();
            line.message.truncate(line.message.floor_char_boundary(LINE_BYTES_MAX));
            let size = serde_json::to_string(&line).map_or(0, |text| text.len());
            if parts.is_empty() || bytes + size > LINES_BYTES_MAX {
                parts.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            parts.last_mut().expect("a part was pushed").push(line);
        }
        let last = parts.len().saturating_sub(1);
        for (at, lines) in parts.into_iter().enumerate() {
            // Only the last part has a cursor: reading on from it must not skip the others.
            let cursor = (at == last).then_some(&read.next);
            let requests: Vec<_> = lines.iter().filter_map(|line| line.figures.clone()).collect();
            let mut text =
                json!({ "type": "log", "tail": message.tail, "lines": lines, "requests": requests, "cursor": cursor });
            if followed.sampled {
                text["sampled"] = json!(true);
            }
            if self.post(&message.connection, &text).await? == Posted::Gone {
                self.close(&message.connection).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Lines as they come; up to the end of the log when that is asked for.
async fn follow(
    following: &mut Option<Following>,
    source: &logs::Source,
    query: &LogsQuery,
    to_the_end: bool,
) -> Result<Followed> {
    let live = match following.take().filter(|live| live.is_of(source)) {
        Some(live) => live,
        None => Following::open(source, query).await?,
    };
    let live = following.insert(live);
    if to_the_end { live.rest(source, query).await } else { live.next(source, query).await }
}
