//! Starting a program in the sandbox, and the guard that ends it.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};

use crate::bubblewrap::{self, DEVICES, SETTINGS, SYSTEM, Tree};
use crate::cgroup::Cgroup;
use crate::detect::{Inner, Kind, Sandbox};
use crate::init::{self, Confinement, Plan};
use crate::lockdown::{self, Reach};
use crate::process_tree::ProcessHandle;
use crate::running::{Exit, Killer, Sandboxed, Shared};
use crate::spawner::on_spawner_thread;
use crate::spec::{Limits, Spec};
use crate::{network, process_tree};

/// Processes and threads that the sandbox itself adds.
const OWN_PROCESSES: u32 = 4;
/// Memory that the init may use beside the program's (bytes).
const OWN_MEMORY: u64 = 8 * 1024 * 1024;
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long the root gets to see its tree dead.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);
const SET_UP_POLL: Duration = Duration::from_millis(1);
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The specification asks for what must not be.
    #[error("{0}")]
    Invalid(String),
    /// This machine cannot give sandboxed programs a network that leaves out the machine itself.
    #[error("no network for sandboxed programs: {0}")]
    NoNetwork(String),
    #[error("starting a sandbox: {context}")]
    Io {
        context: &'static str,
        #[source]
        source: io::Error,
    },
}

impl Sandbox {
    /// Starts a program. It is not running yet when this answers; how it went is in [`Sandboxed::wait`].
    pub async fn spawn(&self, spec: Spec) -> Result<Sandboxed, SpawnError> {
        check(&self.inner, &spec)?;
        let limits = spec.limits.clone();
        let tmp = (self.inner.kind != Kind::Bubblewrap)
            .then(|| tempfile::Builder::new().prefix("workroom-tmp-").tempdir())
            .transpose()
            .map_err(|source| SpawnError::Io { context: "a temporary folder", source })?;
        let group = self.inner.cgroups.then(|| group(&limits)).flatten();
        let (mut child, info) = start(&self.inner, &spec, group.as_ref())
            .map_err(|(context, source)| SpawnError::Io { context, source })?;
        let root = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        let outside = spec.network.outside;
        let prepared = prepare(&self.inner, spec, &mut child, info, outside, tmp.as_ref().map(tempfile::TempDir::path));
        let prepared = match prepared.await {
            Ok(prepared) => prepared,
            Err(error) => {
                process_tree::kill_descendants(root);
                let _ = child.start_kill();
                return Err(error);
            }
        };
        let shared = Arc::new(Shared { root, kill: Notify::new(), memory_peak: AtomicU64::new(0) });
        let (publish, exit) = watch::channel(None);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let guard = Guard { child, group, limits, shared: shared.clone(), prepared, tmp, _inner: self.inner.clone() };
        tokio::spawn(async move { publish.send_replace(Some(guard.run().await)) });
        Ok(Sandboxed { stdout, stderr, killer: Killer { shared, exit } })
    }
}

fn check(inner: &Inner, spec: &Spec) -> Result<(), SpawnError> {
    let invalid = |why: String| Err(SpawnError::Invalid(why));
    if !spec.program.is_absolute() || !spec.cwd.is_absolute() {
        return invalid("program and working folder of a sandbox are absolute paths".into());
    }
    if spec.network.outside && inner.slirp.is_none() && inner.kind != Kind::Machine {
        return Err(SpawnError::NoNetwork(
            "slirp4netns is needed beside bubblewrap (install package slirp4netns)".into(),
        ));
    }
    for mount in &spec.mounts {
        if !mount.source.is_absolute() || !mount.target.is_absolute() {
            return invalid(format!("the mount of `{}` needs absolute paths", mount.source.display()));
        }
        let source = mount
            .source
            .canonicalize()
            .map_err(|error| SpawnError::Invalid(format!("mounting `{}`: {error}", mount.source.display())))?;
        let hides = |hidden: &PathBuf| hidden.canonicalize().unwrap_or_else(|_| hidden.clone()).starts_with(&source);
        if let Some(hidden) = inner.settings.hidden.iter().find(|hidden| hides(hidden)) {
            return invalid(format!("mounting `{}` would show `{}`", source.display(), hidden.display()));
        }
    }
    Ok(())
}

type Started = (Child, Option<OwnedFd>);

fn start(inner: &Inner, spec: &Spec, group: Option<&Cgroup>) -> Result<Started, (&'static str, io::Error)> {
    let (mut command, info) = match inner.kind {
        Kind::Landlock | Kind::Machine => {
            let mut command = Command::new(&inner.settings.init_program);
            command.arg(init::MARK);
            (command, None)
        }
        Kind::Bubblewrap => {
            let tree = Tree {
                init_program: &inner.settings.init_program,
                accounts: inner.accounts.path(),
                hidden: &inner.settings.hidden,
                routes: spec.network.outside,
            };
            let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(|e| ("a pipe", e.into()))?;
            let mut command = Command::new(&inner.bwrap);
            command.arg("--info-fd").arg(write.as_raw_fd().to_string()).args(bubblewrap::arguments(spec, &tree));
            (command, Some((read, write)))
        }
    };
    command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let (read, write) = info.unzip();
    let entrances = group.map_or(Ok(Vec::new()), Cgroup::entrances).map_err(|e| ("a control group", e))?;
    let child =
        on_spawner_thread(command, write.into_iter().collect(), entrances).map_err(|e| ("starting the program", e))?;
    Ok((child, read))
}

fn group(limits: &Limits) -> Option<Cgroup> {
    let memory = limits.memory_bytes.map(|bytes| bytes + OWN_MEMORY);
    Cgroup::create(memory, limits.processes.map(|count| count + OWN_PROCESSES))
}

#[derive(Default)]
struct Prepared {
    /// The first process of the sandbox's process namespace.
    inside: Option<ProcessHandle>,
    slirp: Option<Child>,
}

/// Sets the network up, then lets the init go by giving it its plan.
async fn prepare(
    inner: &Inner,
    mut spec: Spec,
    child: &mut Child,
    info: Option<OwnedFd>,
    outside: bool,
    tmp: Option<&Path>,
) -> Result<Prepared, SpawnError> {
    let failed = |context| move |source| SpawnError::Io { context, source };
    let mut prepared = Prepared::default();
    let confinement = match (inner.kind, info) {
        (Kind::Bubblewrap, Some(info)) => {
            for bridge in &mut spec.network.bridges {
                bridge.socket = bubblewrap::socket_inside(bridge);
            }
            let inside = child_pid(info, child).await.map_err(failed("bubblewrap"))?;
            prepared.inside = Some(ProcessHandle::open(inside).map_err(failed("bubblewrap"))?);
            // Both bring the loopback device up; bubblewrap fails when it is not the first.
            let ready = outside && set_up(inside, prepared.inside.as_ref()).await?;
            if let (true, Some(program)) = (ready, &inner.slirp) {
                let started = network::start_slirp(program, inside).await;
                prepared.slirp = Some(started.map_err(|error| SpawnError::NoNetwork(error.to_string()))?);
            }
            Confinement::Namespaces { blocked: if outside { network::blocked() } else { Vec::new() } }
        }
        (Kind::Machine, _) => {
            private_tmp(&mut spec, tmp);
            Confinement::Machine
        }
        _ => Confinement::Landlock { reach: reach(&mut spec, tmp), signals: lockdown::holds_signals() },
    };
    let plan = serde_json::to_vec(&Plan { spec, confinement }).map_err(io::Error::from).map_err(failed("the plan"))?;
    let mut stdin = child.stdin.take().ok_or_else(|| SpawnError::Invalid("the sandbox has no input".into()))?;
    // An init that is gone already says why on stderr, and `wait` has its exit.
    let _ = tokio::time::timeout(START_TIMEOUT, stdin.write_all(&plan)).await;
    Ok(prepared)
}

/// Waits until bubblewrap has made everything and started the init; false when it ended before.
async fn set_up(inside: i32, handle: Option<&ProcessHandle>) -> Result<bool, SpawnError> {
    let started = async {
        while process_tree::descendants(inside).is_empty() {
            tokio::time::sleep(SET_UP_POLL).await;
        }
    };
    let ended = async {
        match handle {
            Some(handle) => handle.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        done = tokio::time::timeout(START_TIMEOUT, started) => {
            done.map(|()| true).map_err(|_| SpawnError::NoNetwork("bubblewrap does not get ready".into()))
        }
        () = ended => Ok(false),
    }
}

/// Names the folder that stands for `/tmp` where there is no private one.
fn private_tmp(spec: &mut Spec, tmp: Option<&Path>) {
    if let Some(tmp) = tmp {
        spec.env.entry("TMPDIR".to_owned()).or_insert_with(|| tmp.display().to_string());
    }
}

fn reach(spec: &mut Spec, tmp: Option<&Path>) -> Reach {
    let mut reach = Reach { connect: Vec::new(), ..Reach::default() };
    reach
        .readable
        .extend(SYSTEM.iter().chain(SETTINGS).chain(&["/proc", "/etc/hosts", "/etc/passwd"]).map(PathBuf::from));
    reach.writable.extend(DEVICES.iter().map(PathBuf::from));
    if let Some(tmp) = tmp {
        reach.writable.push(tmp.to_owned());
    }
    private_tmp(spec, tmp);
    for mount in &spec.mounts {
        if mount.writable { &mut reach.writable } else { &mut reach.readable }.push(mount.source.clone());
    }
    reach
}

/// What bubblewrap tells about the namespaces it made: the process in them.
async fn child_pid(info: OwnedFd, child: &mut Child) -> io::Result<i32> {
    let mut file = tokio::fs::File::from_std(std::fs::File::from(info));
    let mut text = String::new();
    let read = tokio::time::timeout(START_TIMEOUT, file.read_to_string(&mut text)).await;
    let told: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    if let Some(pid) = told.as_ref().and_then(|t| t["child-pid"].as_i64()).and_then(|pid| i32::try_from(pid).ok()) {
        return Ok(pid);
    }
    let mut said = String::new();
    if let (Ok(_), Some(stderr)) = (read, &mut child.stderr) {
        let _ = tokio::time::timeout(START_TIMEOUT, stderr.read_to_string(&mut said)).await;
    }
    Err(io::Error::other(format!("bwrap did not start: {}", said.trim())))
}

/// Sees a sandbox to its end.
struct Guard {
    child: Child,
    group: Option<Cgroup>,
    limits: Limits,
    shared: Arc<Shared>,
    prepared: Prepared,
    /// Keeps the files that are mounted.
    _inner: Arc<Inner>,
    tmp: Option<tempfile::TempDir>,
}

impl Guard {
    async fn run(mut self) -> Exit {
        let (mut killed, mut out_of_memory) = (false, false);
        let mut tick = tokio::time::interval(WATCH_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                () = self.shared.kill.notified() => killed = true,
                _ = tick.tick() => {
                    let (memory, processes) = self.over_limits();
                    out_of_memory |= memory;
                    killed |= memory || processes;
                }
            }
            if killed {
                self.kill().await;
                break self.child.wait().await;
            }
        };
        out_of_memory |= self.group.as_ref().is_some_and(Cgroup::out_of_memory);
        if let Some(inside) = &self.prepared.inside {
            // Bubblewrap tells the exit code before the last process of the namespace is dead.
            inside.kill();
            let _ = tokio::time::timeout(KILL_TIMEOUT, inside.ended()).await;
        }
        if let Some(mut slirp) = self.prepared.slirp.take() {
            let _ = slirp.start_kill();
            let _ = slirp.wait().await;
        }
        // Dropping them removes the group and the folder.
        drop((self.group.take(), self.tmp.take()));
        let code = status.ok().map_or(128 + libc::SIGKILL, |status| {
            use std::os::unix::process::ExitStatusExt;
            status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
        });
        Exit { code, out_of_memory, killed }
    }

    /// Memory and processes past their limits.
    fn over_limits(&self) -> (bool, bool) {
        let tree = process_tree::descendants(self.shared.root);
        let memory = process_tree::memory(&tree);
        self.shared.memory_peak.fetch_max(memory, Ordering::Relaxed);
        let by_group = self.group.as_ref().is_some_and(Cgroup::out_of_memory);
        let memory = by_group || self.limits.memory_bytes.is_some_and(|limit| memory > limit + OWN_MEMORY);
        let processes = self.limits.processes.is_some_and(|limit| {
            self.group.is_none() && process_tree::threads(&tree) > (limit + OWN_PROCESSES) as usize
        });
        (memory, processes)
    }

    /// Ends everything but the process at the root, which ends by itself once all below it is dead.
    async fn kill(&mut self) {
        if let Some(group) = &self.group {
            group.kill_except(self.shared.root);
        }
        match &self.prepared.inside {
            Some(inside) => inside.kill(),
            // The init kills its tree and ends; before it has a handler for the signal it has no tree.
            None => process_tree::terminate(self.shared.root),
        }
        if tokio::time::timeout(KILL_TIMEOUT, self.child.wait()).await.is_err() {
            process_tree::kill_descendants(self.shared.root);
            let _ = self.child.start_kill();
        }
    }
}
