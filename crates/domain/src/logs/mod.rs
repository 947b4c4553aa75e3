//! Logs of jobs and of users' functions, with what Lambda writes about each request read into figures.

mod lambda;

use std::sync::Arc;
use std::time::Duration;

use cloud::{LogCursor, LogPage, LogQuery, LogTail, Millis};
use identity::Permission;
use serde::{Deserialize, Serialize};

use crate::core::Core;
use crate::environments::{Environments, find_function};
use crate::{Caller, Error, JobId, Jobs, Result, jobs};

pub use lambda::{LineKind, LogLine, RequestFigures};

/// Lines of one answer: 1 MiB of the longest lines fits into an answer of a function.
pub const LINES_MAX: usize = 1_000;
const LINES_DEFAULT: usize = 200;
/// Longest cursor that is looked at (bytes): a request's line and headers have 10,240.
const CURSOR_BYTES_MAX: usize = 6 * 1024;
/// Longest wait for the first line.
pub const WAIT_MAX: Duration = Duration::from_secs(20);

/// Which part of a log is asked for.
#[derive(Clone, Debug, Default)]
pub struct LogsQuery {
    /// The `next` of the read before.
    pub cursor: Option<String>,
    /// Without a cursor: only what is at or after this.
    pub start: Option<Millis>,
    pub limit: Option<usize>,
    /// How long to wait for a line when there is none; at most [`WAIT_MAX`].
    pub wait: Duration,
}

/// A part of a log. A log has no end: read on from `next`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLines {
    pub lines: Vec<LogLine>,
    /// The figures of requests whose REPORT is among the lines.
    pub requests: Vec<RequestFigures>,
    pub next: String,
}

/// Reads logs.
#[derive(Clone)]
pub struct Logs {
    core: Arc<Core>,
}

/// A log that is being read, the permission behind it.
pub(crate) struct Source {
    logs: Arc<dyn cloud::Logs>,
    group: String,
    stream: Option<String>,
    is_lambda: bool,
}

impl Logs {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// A part of a job's log.
    pub async fn job(&self, caller: &Caller, project: &str, job: &str, query: &LogsQuery) -> Result<LogLines> {
        let source = self.job_source(caller, project, job).await?;
        read(&source, query).await
    }

    /// A part of a function's log, over all its instances.
    pub async fn function(
        &self,
        caller: &Caller,
        project: &str,
        environment: &str,
        function: &str,
        query: &LogsQuery,
    ) -> Result<LogLines> {
        let source = self.function_source(caller, project, environment, function).await?;
        read(&source, query).await
    }

    pub(crate) async fn job_source(&self, caller: &Caller, project: &str, job: &str) -> Result<Source> {
        let project = self.core.project(caller, project, Permission::ReadLogs).await?;
        let id = JobId::parse(job).map_err(|_| Error::NotFound("job"))?;
        Jobs::new(self.core.clone()).find(&project.id, &id).await?;
        Ok(Source {
            logs: self.core.ports.logs.clone(),
            group: jobs::log_group(&project.id),
            stream: Some(id.to_string()),
            is_lambda: false,
        })
    }

    pub(crate) async fn function_source(
        &self,
        caller: &Caller,
        project: &str,
        environment: &str,
        function: &str,
    ) -> Result<Source> {
        let project = self.core.project(caller, project, Permission::ReadLogs).await?;
        let running = Environments::new(self.core.clone()).running(&project, environment).await?;
        let group = find_function(&running.stack, function)?.log_group.clone();
        let logs = running.stacks.logs().unwrap_or_else(|| (self.core.ports.stack_logs)(&running.name));
        Ok(Source { logs, group, stream: None, is_lambda: true })
    }
}

pub(crate) async fn read(source: &Source, query: &LogsQuery) -> Result<LogLines> {
    let asked = asked(source, query)?;
    let cursor = asked.cursor.clone();
    Ok(source.lines(known(source.logs.read(asked).await, cursor)?))
}

fn asked(source: &Source, query: &LogsQuery) -> Result<LogQuery> {
    let cursor = query.cursor.clone().filter(|raw| !raw.is_empty());
    if cursor.as_ref().is_some_and(|raw| raw.len() > CURSOR_BYTES_MAX) {
        return Err(Error::invalid_cursor());
    }
    Ok(LogQuery {
        group: source.group.clone(),
        stream: source.stream.clone(),
        start: query.start,
        cursor: cursor.map(LogCursor),
        limit: query.limit.unwrap_or(LINES_DEFAULT).clamp(1, LINES_MAX),
        wait: query.wait.min(WAIT_MAX),
    })
}

/// What a log answers. As long as nothing has been logged there is no log: the reader comes again from where it was.
fn known(answer: cloud::Result<LogPage>, cursor: Option<LogCursor>) -> Result<LogPage> {
    match answer {
        Err(cloud::Error::NotFound(_)) => {
            Ok(LogPage { records: Vec::new(), next: cursor.unwrap_or_else(|| LogCursor(String::new())) })
        }
        Err(cloud::Error::Invalid(_) | cloud::Error::Stale(_)) => Err(Error::invalid_cursor()),
        other => Ok(other?),
    }
}

impl Source {
    fn lines(&self, page: LogPage) -> LogLines {
        let lines = if self.is_lambda {
            lambda::read(page.records)
        } else {
            page.records.into_iter().map(LogLine::plain).collect()
        };
        let requests = lines.iter().filter_map(|line| line.figures.clone()).collect();
        LogLines { lines, requests, next: page.next.0 }
    }
}

/// Lines that came while someone watches.
pub(crate) struct Followed {
    pub lines: LogLines,
    /// Some are missing here and come later.
    pub sampled: bool,
}

/// A log that one reader follows: live where its adapter can, by waiting reads otherwise. Dropping it ends what is live.
pub(crate) struct Following {
    group: String,
    stream: Option<String>,
    tail: Option<Box<dyn LogTail>>,
}

impl Following {
    /// Follows on from the query's cursor.
    pub async fn open(source: &Source, query: &LogsQuery) -> Result<Self> {
        let tail = match source.logs.follow(asked(source, query)?).await {
            Err(cloud::Error::Invalid(_) | cloud::Error::Stale(_)) => return Err(Error::invalid_cursor()),
            other => other?,
        };
        Ok(Self { group: source.group.clone(), stream: source.stream.clone(), tail })
    }

    /// Whether this is the log that is followed: a new deployment may log elsewhere.
    pub fn is_of(&self, source: &Source) -> bool {
        self.group == source.group && self.stream == source.stream
    }

    /// Waits for lines. `query` says from where to read on when nothing is live.
    pub async fn next(&mut self, source: &Source, query: &LogsQuery) -> Result<Followed> {
        let Some(tail) = &mut self.tail else {
            return Ok(Followed { lines: read(source, query).await?, sampled: false });
        };
        let cursor = asked(source, query)?.cursor;
        match tail.next(query.wait).await {
            Ok(update) => Ok(Followed { lines: source.lines(update.page), sampled: update.sampled }),
            Err(error) => Ok(Followed { lines: source.lines(known(Err(error), cursor)?), sampled: false }),
        }
    }

    /// Like `next`, and reads up to the end of the log: with no lines in the answer none is missing.
    pub async fn rest(&mut self, source: &Source, query: &LogsQuery) -> Result<Followed> {
        let lines = match &mut self.tail {
            None => read(source, query).await?,
            Some(tail) => {
                let cursor = asked(source, query)?.cursor;
                source.lines(known(tail.rest(query.wait).await, cursor)?)
            }
        };
        Ok(Followed { lines, sampled: false })
    }
}
