//! What a function writes: from its pipes to the log, line by line, with the tail of the running invocation.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::limits::{LOG_BATCH_EVENTS_MAX, LOG_BATCH_MAX, LOG_EVENT_MAX};
use cloud::{Clock, LogEvent, Logs};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{mpsc, oneshot};

/// The `LogResult` of an invocation (bytes).
pub const TAIL_MAX: usize = 4096;
/// Lines that may wait to be written; a function that writes faster is slowed down.
const LINES_WAITING_MAX: usize = 4096;
/// What each event counts beside its message (CloudWatch Logs quotas).
const EVENT_OVERHEAD: usize = 26;
/// A pipe that is full again and again is not waited for longer than this.
const SETTLE: Duration = Duration::from_millis(500);

/// Where the lines of one instance go; cheap to clone.
#[derive(Clone)]
pub struct Output {
    lines: mpsc::Sender<LogEvent>,
    tail: Arc<Mutex<String>>,
    clock: Arc<dyn Clock>,
}

impl Output {
    /// Writes to `stream` of `group` until every clone is gone.
    pub fn start(logs: Arc<dyn Logs>, group: String, stream: String, clock: Arc<dyn Clock>) -> Self {
        let (lines, waiting) = mpsc::channel(LINES_WAITING_MAX);
        tokio::spawn(write(logs, group, stream, waiting));
        Self { lines, tail: Arc::default(), clock }
    }

    pub async fn line(&self, text: &str) {
        let message = cut(text, LOG_EVENT_MAX - EVENT_OVERHEAD);
        {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.push_str(message);
            tail.push('\n');
            if tail.len() > 2 * TAIL_MAX {
                *tail = last(&tail).to_owned();
            }
        }
        // The writer ends only with its senders.
        let _ = self.lines.send(LogEvent { at: self.clock.now(), message: message.to_owned() }).await;
    }

    /// Forgets the tail: an invocation begins.
    pub fn begin(&self) {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The last 4 KB since `begin`.
    pub fn tail(&self) -> String {
        last(&self.tail.lock().unwrap_or_else(PoisonError::into_inner)).to_owned()
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn last(text: &str) -> &str {
    let mut start = text.len().saturating_sub(TAIL_MAX);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

async fn write(logs: Arc<dyn Logs>, group: String, stream: String, mut waiting: mpsc::Receiver<LogEvent>) {
    while let Some(first) = waiting.recv().await {
        let mut size = first.message.len() + EVENT_OVERHEAD;
        let mut batch = vec![first];
        while size < LOG_BATCH_MAX - LOG_EVENT_MAX && batch.len() < LOG_BATCH_EVENTS_MAX {
            let Ok(event) = waiting.try_recv() else { break };
            size += event.message.len() + EVENT_OVERHEAD;
            batch.push(event);
        }
        if let Err(error) = logs.append(&group, &stream, batch).await {
            tracing::warn!(error = &error as &dyn std::error::Error, group, "log lines of a function are lost");
        }
    }
}

/// Reads the pipes of an instance. `settle` asks it to read what was written so far.
pub struct Pump {
    settle: mpsc::Sender<oneshot::Sender<()>>,
}

impl Pump {
    pub fn start(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>, output: Output) -> Self {
        let (settle, asked) = mpsc::channel(4);
        tokio::spawn(pump(stdout, stderr, output, asked));
        Self { settle }
    }

    /// Waits until everything that is in the pipes now has become lines.
    pub async fn settle(&self) {
        let (done, waiting) = oneshot::channel();
        if self.settle.send(done).await.is_ok() {
            let _ = tokio::time::timeout(SETTLE, waiting).await;
        }
    }
}

/// One pipe, and the line that is not ended yet.
struct Lines<P> {
    pipe: Option<P>,
    partial: Vec<u8>,
}

impl<P: AsyncRead + Unpin + AsRawFd> Lines<P> {
    /// Some bytes, none at the end; waits for ever when the pipe is closed. May be cancelled without loss.
    async fn read(&mut self) -> Vec<u8> {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        let mut buffer = vec![0; 16 * 1024];
        let length = pipe.read(&mut buffer).await.unwrap_or(0);
        buffer.truncate(length);
        buffer
    }

    async fn hand_on(&mut self, bytes: Vec<u8>, output: &Output) {
        if bytes.is_empty() {
            self.pipe = None;
            self.flush(output).await;
        } else {
            self.take(&bytes, output).await;
        }
    }

    async fn take(&mut self, mut bytes: &[u8], output: &Output) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            self.flush(output).await;
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LOG_EVENT_MAX {
            self.flush(output).await;
        }
    }

    async fn flush(&mut self, output: &Output) {
        if !self.partial.is_empty() {
            output.line(&String::from_utf8_lossy(&std::mem::take(&mut self.partial))).await;
        }
    }

    fn waiting(&self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        let mut bytes: libc::c_int = 0;
        // SAFETY: the descriptor is open and FIONREAD writes one int (ioctl_tty(2)).
        unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut bytes) == 0 && bytes > 0 }
    }
}

async fn pump(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    output: Output,
    mut asked: mpsc::Receiver<oneshot::Sender<()>>,
) {
    let mut out = Lines { pipe: stdout, partial: Vec::new() };
    let mut err = Lines { pipe: stderr, partial: Vec::new() };
    while out.pipe.is_some() || err.pipe.is_some() {
        let event = tokio::select! {
            bytes = out.read() => Event::Out(bytes),
            bytes = err.read() => Event::Err(bytes),
            Some(done) = asked.recv() => Event::Settle(done),
        };
        match event {
            Event::Out(bytes) => out.hand_on(bytes, &output).await,
            Event::Err(bytes) => err.hand_on(bytes, &output).await,
            Event::Settle(done) => {
                while out.waiting() {
                    let bytes = out.read().await;
                    out.hand_on(bytes, &output).await;
                }
                while err.waiting() {
                    let bytes = err.read().await;
                    err.hand_on(bytes, &output).await;
                }
                out.flush(&output).await;
                err.flush(&output).await;
                let _ = done.send(());
            }
        }
    }
}

enum Event {
    Out(Vec<u8>),
    Err(Vec<u8>),
    Settle(oneshot::Sender<()>),
}
