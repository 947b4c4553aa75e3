//! Metrics in CloudWatch's embedded metric format: one JSON line on standard output for each request, batch or job.
//!
//! Nothing is called over the network: Lambda's log is where CloudWatch reads the numbers from ("Embedding metrics
//! within logs", Amazon CloudWatch User Guide). Only a function writes them; see [`enable`].
//!
//! **Invariant**: the values of dimensions come from closed sets (areas, codes, kinds of jobs), because every
//! combination is a metric that costs. Ids, paths and addresses are never in a line; a route is written as its
//! template, and as a plain field.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cloud::{Clock, SystemClock};
use serde_json::{Map, Value, json};

/// The namespace of every metric.
pub const NAMESPACE: &str = "Workroom";

/// Every metric there is; docs/operations.md says what each counts.
pub const NAMES: [&str; 18] = [
    "Requests",
    "Duration",
    "ColdStarts",
    "Problems",
    "GitBytesIn",
    "GitBytesOut",
    "JobsStarted",
    "JobsFinished",
    "JobDuration",
    "JobWait",
    "CacheHits",
    "CacheMisses",
    "EventsDelivered",
    "EventsFailed",
    "SocketPosts",
    "SocketsGone",
    "SocketsFailed",
    "DeliveryAge",
];

static ENABLED: AtomicBool = AtomicBool::new(false);
static ENVIRONMENT: OnceLock<String> = OnceLock::new();
/// Whether this process has yet to answer its first request.
static COLD: AtomicBool = AtomicBool::new(true);

/// What was posted to sockets since it was last written.
static POSTS: Posts = Posts { sent: AtomicU64::new(0), gone: AtomicU64::new(0), failed: AtomicU64::new(0) };

struct Posts {
    sent: AtomicU64,
    gone: AtomicU64,
    failed: AtomicU64,
}

/// From now on this process writes its metrics to standard output. One machine does not: its output is for people.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

/// The environment (`dev`, `prod`) that the metrics of this process belong to; the first one stays.
pub(crate) fn belong_to(environment: &str) {
    ENVIRONMENT.get_or_init(|| environment.to_owned());
}

/// How a post to a socket went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Post {
    Sent,
    Gone,
    Failed,
}

/// Counts a post; [`delivered`] writes the sum.
pub fn posted(post: Post) {
    let counter = match post {
        Post::Sent => &POSTS.sent,
        Post::Gone => &POSTS.gone,
        Post::Failed => &POSTS.failed,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One answered request.
#[derive(Debug)]
pub struct Answered<'a> {
    /// Which function answered: an area's name.
    pub area: &'a str,
    /// The template of the route, `/projects/{project}`.
    pub route: &'a str,
    pub method: &'a str,
    pub status: u16,
    /// Until the head of the answer (milliseconds).
    pub ms: u64,
    /// The code of the problem, when the answer is one.
    pub code: Option<&'static str>,
    /// Bytes of the bodies, when the request is Git's.
    pub git: Option<(u64, u64)>,
    pub request_id: &'a str,
    pub correlation_id: &'a str,
}

/// Writes what one request came to.
pub fn answered(request: &Answered<'_>) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    let cold = COLD.swap(false, Ordering::Relaxed);
    write(request_line(request, cold));
}

fn request_line(request: &Answered<'_>, cold: bool) -> Line {
    let class = format!("{}xx", request.status / 100);
    let mut line = Line::new()
        .dimension("Area", request.area)
        .dimension("StatusClass", &class)
        .counted(&["Area", "StatusClass"], "Requests", 1)
        .measured(&["Area"], "Duration", request.ms)
        .counted(&["Area"], "ColdStarts", u64::from(cold));
    if let Some(code) = request.code {
        line = line.dimension("Code", code).counted(&["Code"], "Problems", 1);
    }
    if let Some((received, sent)) = request.git {
        line = line.bytes("GitBytesIn", received).bytes("GitBytesOut", sent);
    }
    line.field("route", request.route)
        .field("method", request.method)
        .field("status", request.status)
        .field("request_id", request.request_id)
        .field("correlation_id", request.correlation_id)
}

/// How one run of a job ended.
#[derive(Debug)]
pub struct Ran<'a> {
    /// `build`, `deploy`, …
    pub kind: &'a str,
    /// `succeeded`, `failed`, `cancelled`, `timed_out`, or `again` when the job comes back: the platform failed, or another worker goes on with it.
    pub outcome: &'a str,
    /// Of this run (milliseconds).
    pub ms: u64,
    pub correlation_id: &'a str,
}

/// Writes that a worker has begun a job. `waited_ms`: since it was asked for; `None` when it is not the first run.
pub fn begun(kind: &str, waited_ms: Option<u64>, correlation_id: &str) {
    write(begin_line(kind, waited_ms, correlation_id));
}

fn begin_line(kind: &str, waited_ms: Option<u64>, correlation_id: &str) -> Line {
    let line = Line::new()
        .dimension("Kind", kind)
        .counted(&["Kind"], "JobsStarted", 1)
        .field("correlation_id", correlation_id);
    match waited_ms {
        Some(waited) => line.measured(&["Kind"], "JobWait", waited),
        None => line,
    }
}

/// Writes what one run of a job came to.
pub fn ran(run: &Ran<'_>) {
    write(run_line(run));
}

fn run_line(run: &Ran<'_>) -> Line {
    Line::new()
        .dimension("Kind", run.kind)
        .dimension("Outcome", run.outcome)
        .counted(&["Kind", "Outcome"], "JobsFinished", 1)
        .measured(&["Kind"], "JobDuration", run.ms)
        .field("correlation_id", run.correlation_id)
}

/// Writes whether a build found its dependencies in the cache.
pub fn cache(hits: u64, misses: u64) {
    if hits + misses > 0 {
        write(Line::new().counted(&[], "CacheHits", hits).counted(&[], "CacheMisses", misses));
    }
}

/// Writes what one batch of the change feed came to. `age_ms`: from the commit of its oldest event.
pub fn delivered(events: u64, failed: u64, age_ms: u64) {
    let taken = |counter: &AtomicU64| counter.swap(0, Ordering::Relaxed);
    let posts = [taken(&POSTS.sent), taken(&POSTS.gone), taken(&POSTS.failed)];
    write(batch_line(events, failed, age_ms, posts));
}

fn batch_line(events: u64, failed: u64, age_ms: u64, [sent, gone, lost]: [u64; 3]) -> Line {
    let line = Line::new()
        .counted(&[], "EventsDelivered", events)
        .counted(&[], "EventsFailed", failed)
        .counted(&[], "SocketPosts", sent)
        .counted(&[], "SocketsGone", gone)
        .counted(&[], "SocketsFailed", lost);
    if events > 0 { line.measured(&[], "DeliveryAge", age_ms) } else { line }
}

/// One line in the making. Every metric has the dimension `Environment` before its own.
struct Line {
    fields: Map<String, Value>,
    /// Metrics by their dimensions, in the form of the format's `CloudWatchMetrics`.
    directives: Vec<(Vec<&'static str>, Vec<Value>)>,
}

impl Line {
    fn new() -> Self {
        let environment = ENVIRONMENT.get().map_or("unset", String::as_str);
        Self { fields: Map::from_iter([("Environment".to_owned(), json!(environment))]), directives: Vec::new() }
    }

    fn dimension(self, name: &str, value: &str) -> Self {
        self.field(name, value)
    }

    fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    fn counted(self, dimensions: &[&'static str], name: &'static str, value: u64) -> Self {
        self.metric(dimensions, name, "Count", value)
    }

    fn measured(self, dimensions: &[&'static str], name: &'static str, ms: u64) -> Self {
        self.metric(dimensions, name, "Milliseconds", ms)
    }

    fn bytes(self, name: &'static str, value: u64) -> Self {
        self.metric(&[], name, "Bytes", value)
    }

    fn metric(mut self, dimensions: &[&'static str], name: &'static str, unit: &str, value: u64) -> Self {
        let metric = json!({ "Name": name, "Unit": unit });
        let all: Vec<&str> = ["Environment"].iter().chain(dimensions).copied().collect();
        match self.directives.iter_mut().find(|(known, _)| *known == all) {
            Some((_, metrics)) => metrics.push(metric),
            None => self.directives.push((all, vec![metric])),
        }
        self.field(name, value)
    }

    fn at(mut self, timestamp_ms: u64) -> Value {
        let directives: Vec<Value> = self
            .directives
            .into_iter()
            .map(|(dimensions, metrics)| json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics }))
            .collect();
        self.fields.insert("_aws".into(), json!({ "Timestamp": timestamp_ms, "CloudWatchMetrics": directives }));
        Value::Object(self.fields)
    }
}

fn write(line: Line) {
    if !ENABLED.load(Ordering::Relaxed) {
        return;
    }
    // CloudWatch refuses lines of another time than the log's own: this is the machine's, whichever clock the app has.
    let text = line.at(SystemClock.now().0.try_into().unwrap_or(0)).to_string() + "\n";
    // One write, so that lines of requests side by side do not mix. A log that is gone stops no request.
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;
