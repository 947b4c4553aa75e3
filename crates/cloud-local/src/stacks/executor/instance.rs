//! One running copy of a function: a sandbox, its Runtime API and its log stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::FUNCTION_INIT_TIMEOUT;
use cloud::{Error, Millis, Result};
use sandbox::{Bridge, Exit, Killer, Sandboxed, SpawnError};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::api::{self, Answer, Event, Phase, Served, Work};
use super::output::{Output, Pump};
use super::program::Program;
use super::{FunctionSpec, Host};

/// The port of the Runtime API, as functions see it.
const RUNTIME_PORT: u16 = 9001;
/// How long credentials of an instance are good; it is replaced before.
pub const CREDENTIALS_TTL: Duration = Duration::from_secs(12 * 60 * 60);
const STREAM_ID_BYTES: usize = 16;

pub struct Instance {
    pub started: Millis,
    pub idle_since: Millis,
    served: Served,
    sandboxed: Sandboxed,
    output: Output,
    pump: Pump,
    /// Its /tmp, and the folder of its socket; removed with it.
    _folders: [tempfile::TempDir; 2],
}

/// Why an instance did not answer.
#[derive(Debug)]
pub enum Broken {
    /// It ended before it took the event: another instance may be asked.
    NotTaken,
    Ended(Exit),
    TimedOut,
}

impl Instance {
    /// Starts one and does not wait for its init.
    pub async fn start(host: &Host, spec: &FunctionSpec) -> Result<Self> {
        let failed = |what: &str, error: std::io::Error| Error::other(format!("{what} of `{}`", spec.name), error);
        let folder = |prefix: &str, place: &std::path::Path| tempfile::Builder::new().prefix(prefix).tempdir_in(place);
        let tmp = folder("tmp-", &host.instances).map_err(|e| failed("the folder", e))?;
        // Socket paths are short (108 bytes): not in the data folder.
        let sockets = tempfile::Builder::new().prefix("workroom-").tempdir().map_err(|e| failed("the socket", e))?;
        let socket = sockets.path().join("api");
        let served = api::serve(&socket).map_err(|e| failed("the runtime API", e))?;
        let bridge = Bridge { port: RUNTIME_PORT, socket };
        host.endpoint_is_there().await;
        let stream = stream_name(host, &spec.version);
        let program = Program { host, spec, tmp: tmp.path(), stream: &stream, runtime: bridge };
        let mut sandboxed = host.sandbox()?.spawn(program.sandbox_spec()).await.map_err(|error| match error {
            SpawnError::Invalid(why) => Error::Invalid(why),
            error => Error::other(format!("starting `{}`", spec.name), error),
        })?;
        let output = Output::start(host.logs(spec), spec.log_group.clone(), stream, host.clock.clone());
        let pump = Pump::start(sandboxed.stdout.take(), sandboxed.stderr.take(), output.clone());
        let now = host.clock.now();
        Ok(Self { started: now, idle_since: now, served, sandboxed, output, pump, _folders: [tmp, sockets] })
    }

    /// Waits until the runtime asks for its first event. The error object when it does not.
    pub async fn init(&mut self) -> std::result::Result<(), Bytes> {
        let killer = self.sandboxed.killer();
        let mut phase = self.served.phase.clone();
        let told = async { phase.wait_for(|phase| *phase != Phase::Starting).await.map(|phase| phase.clone()).ok() };
        let told = tokio::select! {
            told = tokio::time::timeout(FUNCTION_INIT_TIMEOUT, told) => told,
            exit = killer.ended() => {
                self.pump.settle().await;
                // What it posted before it ended says more than its exit.
                let posted = self.served.phase.borrow().clone();
                return Err(if let Phase::Failed(error) = posted { error } else { exit_error(exit, None) });
            }
        };
        self.pump.settle().await;
        match told {
            Ok(Some(Phase::Ready)) => Ok(()),
            Ok(Some(Phase::Failed(error))) => Err(error),
            Ok(_) => Err(exit_error(self.sandboxed.kill().await, None)),
            Err(_) => {
                self.sandboxed.kill().await;
                let limit = FUNCTION_INIT_TIMEOUT.as_secs();
                let error =
                    json!({"errorType": "Sandbox.Timedout", "errorMessage": format!("init took more than {limit} s")});
                Err(error.to_string().into())
            }
        }
    }

    /// Hands an event over and waits for its answer, until `deadline`.
    pub async fn run(
        &mut self,
        event: Event,
        stream: Option<mpsc::Sender<Bytes>>,
        deadline: Instant,
    ) -> std::result::Result<Answer, Broken> {
        let (answer, answered) = oneshot::channel();
        let work = Work { event, stream, answer };
        let killer = self.sandboxed.killer();
        if killer.exit().is_some() || self.served.work.try_send(work).is_err() {
            return Err(Broken::NotTaken);
        }
        let outcome = tokio::select! {
            biased;
            answer = answered => answer.map_err(|_| Broken::TimedOut),
            exit = killer.ended() => Err(if self.served.api.is_busy() { Broken::Ended(exit) } else { Broken::NotTaken }),
            () = tokio::time::sleep_until(deadline) => Err(Broken::TimedOut),
        };
        if outcome.is_err() {
            self.sandboxed.kill().await;
            self.served.api.abandon();
        }
        self.pump.settle().await;
        outcome
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The most memory it has held, in MB.
    pub fn memory_peak_mb(&self) -> u32 {
        u32::try_from(self.sandboxed.killer().memory_peak().div_ceil(1024 * 1024)).unwrap_or(u32::MAX)
    }

    pub fn is_alive(&self) -> bool {
        self.sandboxed.killer().exit().is_none()
    }

    pub fn killer(&self) -> Killer {
        self.sandboxed.killer()
    }
}

/// The error object for a runtime that ended by itself, as Lambda words it.
pub fn exit_error(exit: Exit, request_id: Option<&str>) -> Bytes {
    let how = match exit.code {
        _ if exit.out_of_memory => "Runtime exited with error: signal: killed".to_owned(),
        0 => "Runtime exited without providing a reason".to_owned(),
        code if code > 128 => format!("Runtime exited with error: signal: {}", signal_name(code - 128)),
        code => format!("Runtime exited with error: exit status {code}"),
    };
    let kind = if exit.out_of_memory { "Runtime.OutOfMemory" } else { "Runtime.ExitError" };
    let message = request_id.map_or_else(|| how.clone(), |id| format!("RequestId: {id} Error: {how}"));
    json!({"errorType": kind, "errorMessage": message}).to_string().into()
}

fn signal_name(number: i32) -> String {
    match number {
        libc::SIGKILL => "killed".into(),
        libc::SIGSEGV => "segmentation fault".into(),
        libc::SIGABRT => "aborted".into(),
        libc::SIGTERM => "terminated".into(),
        other => other.to_string(),
    }
}

/// `YYYY/MM/DD/[version]id`, as Lambda names them.
fn stream_name(host: &Host, version: &str) -> String {
    let date = super::super::calendar::Civil::at(host.clock.now());
    let id = hex::encode(Arc::as_ref(&host.entropy).bytes::<STREAM_ID_BYTES>());
    format!("{:04}/{:02}/{:02}/[{version}]{id}", date.year, date.month, date.day)
}
