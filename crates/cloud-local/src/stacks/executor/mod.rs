//! Functions over the Lambda Runtime API: instances that start on demand, scale out, and go when idle.

mod api;
mod instance;
mod output;
mod program;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{Clock, Entropy, Error, Invocation, Logs, Report, Result, StackName};
use sandbox::{Sandbox, Unavailable};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::calendar::Civil;
use super::runtimes::Runtime;
use crate::Store;
use crate::access_keys::{AccessKeys, Scope};
use api::{Answer, Event};
use instance::{Broken, Instance, exit_error};

/// Instances of one function at a time, when it does not reserve less.
const INSTANCES_MAX: u32 = 16;
/// Invocations of one function that wait for an instance; more are refused.
const WAITING_MAX: usize = 1000;
/// An instance without work goes after this.
const IDLE_MAX: Duration = Duration::from_secs(10 * 60);
/// An instance is replaced before its credentials expire.
const AGE_MAX: Duration = Duration::from_secs(6 * 60 * 60);
const ENDPOINT_POLL: Duration = Duration::from_millis(20);
const ENDPOINT_POLLS_MAX: usize = 250;
const REAP_EVERY: Duration = Duration::from_secs(30);
/// Chunks of a streamed answer that nobody has read yet.
const STREAM_CHUNKS_MAX: usize = 64;

/// What every function of this machine shares.
pub struct Host {
    pub sandbox: Result<Sandbox, Unavailable>,
    pub store: Store,
    pub keys: AccessKeys,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// The service endpoint's port and unix socket.
    pub aws_port: u16,
    pub aws_socket: PathBuf,
    /// The runtime clients.
    pub clients: PathBuf,
    /// Where instances have their /tmp.
    pub instances: PathBuf,
}

impl Host {
    /// The sandbox; why users' code is not run, when there is none.
    pub fn sandbox(&self) -> Result<&Sandbox> {
        self.sandbox.as_ref().map_err(|unavailable| Error::Invalid(unavailable.to_string()))
    }

    /// Waits a moment for the service endpoint, which starts with the platform: sources may be faster.
    async fn endpoint_is_there(&self) {
        for _ in 0..ENDPOINT_POLLS_MAX {
            if self.aws_socket.exists() {
                return;
            }
            tokio::time::sleep(ENDPOINT_POLL).await;
        }
        tracing::warn!("the service endpoint is not there: a function starts without it");
    }

    fn logs(&self, spec: &FunctionSpec) -> Arc<dyn Logs> {
        Arc::new(self.store.logs_in(&Scope::Stack(spec.stack.clone()).namespace()))
    }
}

/// One version of one function.
#[derive(Clone, Debug)]
pub struct FunctionSpec {
    pub stack: StackName,
    /// The physical name.
    pub name: String,
    pub arn: String,
    /// `$LATEST`, or the number of the published version.
    pub version: String,
    pub runtime: Runtime,
    pub handler: String,
    pub memory_mb: u32,
    pub timeout_s: u32,
    pub storage_mb: u32,
    pub concurrency: Option<u32>,
    pub environment: BTreeMap<String, String>,
    pub log_group: String,
    /// The unpacked package.
    pub package: PathBuf,
    /// The layers, unpacked over each other.
    pub layers: Option<PathBuf>,
}

/// The instances of one function. Dropping it ends them once they are idle.
pub struct Pool {
    host: Arc<Host>,
    spec: FunctionSpec,
    idle: Mutex<Vec<Instance>>,
    slots: Semaphore,
    waiting: AtomicUsize,
}

/// An answer that comes in pieces.
pub struct Streamed {
    /// The body: the streamed pieces, or the whole answer at once. It ends early when the function fails.
    pub body: mpsc::Receiver<Bytes>,
    /// How it went, when the body has ended.
    pub done: tokio::task::JoinHandle<Result<Invocation>>,
}

impl Pool {
    pub fn new(host: Arc<Host>, spec: FunctionSpec) -> Arc<Self> {
        let slots = spec.concurrency.unwrap_or(INSTANCES_MAX).min(INSTANCES_MAX) as usize;
        let pool = Arc::new(Self {
            host,
            spec,
            idle: Mutex::default(),
            slots: Semaphore::new(slots),
            waiting: AtomicUsize::new(0),
        });
        tokio::spawn(reap(Arc::downgrade(&pool)));
        pool
    }

    pub fn spec(&self) -> &FunctionSpec {
        &self.spec
    }

    /// Runs the handler on one event and waits for its answer. It runs to its end even when the caller goes away.
    pub async fn invoke(self: &Arc<Self>, payload: Bytes) -> Result<Invocation> {
        let pool = self.clone();
        let running = tokio::spawn(async move { pool.run(payload, None).await });
        running.await.map_err(|error| Error::other(format!("running `{}`", self.spec.name), error))?
    }

    /// The same, with the answer as it comes.
    pub fn invoke_streamed(self: &Arc<Self>, payload: Bytes) -> Streamed {
        let (sender, body) = mpsc::channel(STREAM_CHUNKS_MAX);
        let pool = self.clone();
        Streamed { body, done: tokio::spawn(async move { pool.run(payload, Some(sender)).await }) }
    }

    async fn run(&self, payload: Bytes, stream: Option<mpsc::Sender<Bytes>>) -> Result<Invocation> {
        self.check(&payload)?;
        let _slot = self.slot().await?;
        let request_id = self.request_id();
        let mut fresh = None;
        let mut warm = self.warm();
        loop {
            let (mut instance, init) = match warm.take() {
                Some(instance) => (instance, None),
                None => {
                    let begun = Instant::now();
                    let mut instance = Instance::start(&self.host, &self.spec).await?;
                    if let Err(error) = instance.init().await {
                        return Ok(self.init_failed(&instance, &request_id, error, begun.elapsed()).await);
                    }
                    fresh = Some(begun.elapsed());
                    (instance, fresh)
                }
            };
            match self.attempt(&mut instance, &request_id, payload.clone(), stream.clone(), init).await {
                Some((invocation, healthy)) => {
                    if healthy && instance.is_alive() {
                        instance.idle_since = self.host.clock.now();
                        self.idle().push(instance);
                    }
                    return Ok(invocation);
                }
                // It died between two events; a fresh one that does so is broken.
                None if fresh.is_some() => {
                    let exit = instance.killer().ended().await;
                    let error = exit_error(exit, Some(&request_id));
                    return Ok(self.init_failed(&instance, &request_id, error, Duration::ZERO).await);
                }
                None => warm = self.warm(),
            }
        }
    }

    fn check(&self, payload: &Bytes) -> Result<()> {
        if payload.len() > FUNCTION_PAYLOAD_MAX {
            let what = format!("the event for `{}`", self.spec.name);
            return Err(Error::TooLarge { what, actual: payload.len() as u64, limit: FUNCTION_PAYLOAD_MAX as u64 });
        }
        serde_json::from_slice::<serde::de::IgnoredAny>(payload)
            .map_err(|error| Error::Invalid(format!("the event is not JSON: {error}")))?;
        Ok(())
    }

    async fn slot(&self) -> Result<tokio::sync::SemaphorePermit<'_>> {
        if let Ok(slot) = self.slots.try_acquire() {
            return Ok(slot);
        }
        let busy = || Error::Unavailable(format!("function `{}`: every instance is busy, it", self.spec.name));
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy());
        }
        let slot = self.slots.acquire().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        slot.map_err(|_| busy())
    }

    fn warm(&self) -> Option<Instance> {
        let mut idle = self.idle();
        while let Some(instance) = idle.pop() {
            if instance.is_alive() {
                return Some(instance);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random UUID (RFC 9562, version 4), as Lambda's request ids are.
    pub fn request_id(&self) -> String {
        let mut bytes = self.host.entropy.bytes::<16>();
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex::encode(bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// One event on one instance: the invocation and whether the instance may be used again; `None` when it was
    /// dead before it took the event.
    async fn attempt(
        &self,
        instance: &mut Instance,
        request_id: &str,
        payload: Bytes,
        stream: Option<mpsc::Sender<Bytes>>,
        init: Option<Duration>,
    ) -> Option<(Invocation, bool)> {
        let limit = Duration::from_secs(u64::from(self.spec.timeout_s));
        let now = self.host.clock.now();
        let trace = hex::encode(self.host.entropy.bytes::<12>());
        let event = Event {
            request_id: request_id.to_owned(),
            payload,
            deadline: now.plus(limit),
            arn: self.spec.arn.clone(),
            trace_id: format!("Root=1-{:08x}-{trace};Parent={};Sampled=0", now.as_secs(), &trace[..16]),
        };
        let output = instance.output().clone();
        output.begin();
        output.line(&format!("START RequestId: {request_id} Version: {}", self.spec.version)).await;
        let begun = Instant::now();
        let outcome = instance.run(event, stream.clone(), begun + limit).await;
        let duration = begun.elapsed();
        let (payload, error, status) = match outcome {
            Ok(Answer::Payload(payload)) => {
                if let Some(stream) = stream {
                    // A reader that went away needs nothing.
                    let _ = stream.send(payload.clone()).await;
                }
                (payload, None, None)
            }
            Ok(Answer::Streamed) => (Bytes::new(), None, None),
            Ok(Answer::Failed(error)) => (error, Some("Unhandled"), None),
            Err(Broken::NotTaken) => return None,
            Err(Broken::TimedOut) => {
                let at = Civil::at(self.host.clock.now()).rfc3339_millis();
                let text = format!("{at} {request_id} Task timed out after {:.2} seconds", limit.as_secs_f64());
                output.line(&text).await;
                (
                    json!({"errorType": "Sandbox.Timedout", "errorMessage": text}).to_string().into(),
                    Some("Unhandled"),
                    Some("timeout"),
                )
            }
            Err(Broken::Ended(exit)) => {
                let error = exit_error(exit, Some(request_id));
                output.line(&format!("RequestId: {request_id} {}", error_message(&error))).await;
                (error, Some("Unhandled"), Some("error"))
            }
        };
        let healthy = status.is_none();
        let invocation = self.report(instance, request_id, duration.min(limit), init, status).await;
        let invocation = Invocation { payload, function_error: error.map(str::to_owned), ..invocation };
        Some((invocation, healthy))
    }

    /// The END and REPORT lines, and the same figures as values.
    async fn report(
        &self,
        instance: &Instance,
        request_id: &str,
        duration: Duration,
        init: Option<Duration>,
        status: Option<&str>,
    ) -> Invocation {
        let milliseconds = |duration: Duration| (duration.as_secs_f64() * 100_000.0).round() / 100.0;
        let billed = duration + init.unwrap_or_default();
        let report = Report {
            request_id: request_id.to_owned(),
            duration_ms: milliseconds(duration),
            billed_duration_ms: u64::try_from(billed.as_micros().div_ceil(1000)).unwrap_or(u64::MAX).max(1),
            memory_mb: self.spec.memory_mb,
            max_memory_used_mb: instance.memory_peak_mb(),
            init_duration_ms: init.map(milliseconds),
        };
        let output = instance.output();
        output.line(&format!("END RequestId: {request_id}")).await;
        output.line(&report_line(&report, status)).await;
        Invocation { payload: Bytes::new(), function_error: None, log_tail: output.tail(), report: Some(report) }
    }

    async fn init_failed(&self, instance: &Instance, request_id: &str, error: Bytes, took: Duration) -> Invocation {
        let output = instance.output();
        let phase =
            format!("INIT_REPORT Init Duration: {:.2} ms\tPhase: init\tStatus: error", took.as_secs_f64() * 1000.0);
        output.line(&phase).await;
        output.line(&format!("START RequestId: {request_id} Version: {}", self.spec.version)).await;
        output.line(&format!("RequestId: {request_id} {}", error_message(&error))).await;
        let invocation = self.report(instance, request_id, Duration::ZERO, Some(took), Some("error")).await;
        Invocation { payload: error, function_error: Some("Unhandled".into()), ..invocation }
    }
}

fn error_message(error: &Bytes) -> String {
    let value: serde_json::Value = serde_json::from_slice(error).unwrap_or_default();
    format!("Error: {}", value["errorMessage"].as_str().unwrap_or("unknown"))
}

/// As Lambda writes it in text (Developer Guide, "Viewing CloudWatch logs").
fn report_line(report: &Report, status: Option<&str>) -> String {
    let mut line = format!(
        "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
        report.request_id, report.duration_ms, report.billed_duration_ms, report.memory_mb, report.max_memory_used_mb
    );
    if let Some(init) = report.init_duration_ms {
        line += &format!("Init Duration: {init:.2} ms\t");
    }
    if let Some(status) = status {
        line += &format!("Status: {status}\t");
    }
    line
}

/// Ends instances that are idle too long or too old, as long as the pool is there.
async fn reap(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(REAP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = pool.host.clock.now();
        let stays = |instance: &Instance| {
            instance.is_alive() && now.since(instance.idle_since) < IDLE_MAX && now.since(instance.started) < AGE_MAX
        };
        let gone: Vec<Instance> = pool.idle().extract_if(.., |instance| !stays(instance)).collect();
        drop(gone);
    }
}
