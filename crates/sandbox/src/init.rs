//! The first program inside a sandbox: it takes its plan from standard input, opens the bridges, confines and
//! starts the sandboxed program, and ends with its exit code when everything of it is dead.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::lockdown::{self, Reach};
use crate::network::{self, Blocked};
use crate::seccomp::{self, Sockets};
use crate::spec::{Limits, Spec};

/// The one argument that turns a program into the sandbox's first process.
pub const MARK: &str = "--workroom-sandbox-init";
/// Exit code when the sandbox could not be set up: nothing was run.
pub const SETUP_FAILED: i32 = 125;
/// Open files of one process, as Lambda has it.
const OPEN_FILES_MAX: u64 = 1024;
/// Simultaneous connections over all bridges.
const BRIDGED_MAX: usize = 512;

/// How the sandbox around this process was made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Confinement {
    /// In namespaces of bubblewrap; routes to cut off first.
    Namespaces { blocked: Vec<Blocked> },
    /// On the machine's own file tree and network, held by landlock.
    Landlock { reach: Reach, signals: bool },
    /// On a machine that is there for it alone.
    Machine,
}

/// What the platform tells the init.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    pub spec: Spec,
    pub confinement: Confinement,
}

/// Becomes the sandbox's init, and does not return, when this process was started as one. Call it first in `main`,
/// before any thread is started.
pub fn run_if_init() {
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|first| first == MARK) && args.next().is_none() {
        let code = run().unwrap_or_else(|error| {
            eprintln!("sandbox: {error}");
            SETUP_FAILED
        });
        std::process::exit(code);
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn run() -> Result<i32, Failure> {
    let mut plan = String::new();
    std::io::stdin().lock().read_to_string(&mut plan)?;
    let mut plan: Plan = serde_json::from_str(&plan)?;
    if let Confinement::Namespaces { blocked } = &plan.confinement {
        for network in blocked {
            network::block(*network).map_err(|error| format!("cutting off {}: {error}", network.address))?;
        }
    } else {
        // Orphans come back here, and when the platform dies this process still gets to kill them.
        nix::sys::prctl::set_child_subreaper(true)?;
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)?;
    }
    drop_capabilities()?;
    nix::sys::prctl::set_no_new_privs()?;
    // Keeps the sandboxed program from reading this one's memory.
    nix::sys::prctl::set_dumpable(false)?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(supervise(&mut plan))
}

async fn supervise(plan: &mut Plan) -> Result<i32, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let own_loopback = matches!(plan.confinement, Confinement::Namespaces { .. });
    let mut listeners = Vec::new();
    for bridge in &plan.spec.network.bridges {
        let port = if own_loopback { bridge.port } else { 0 };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|e| format!("port {port}: {e}"))?;
        let address = listener.local_addr()?;
        replace(&mut plan.spec.env, &mut plan.spec.args, &bridge.address(), &address.to_string());
        if let Confinement::Landlock { reach, .. } = &mut plan.confinement {
            reach.connect.push(address.port());
        }
        listeners.push((listener, bridge.socket.clone()));
    }
    let mut child = command(plan)?.spawn().map_err(|error| {
        format!("cannot run `{}` in `{}`: {error}", plan.spec.program.display(), plan.spec.cwd.display())
    })?;
    let allowance = std::sync::Arc::new(tokio::sync::Semaphore::new(BRIDGED_MAX));
    for (listener, socket) in listeners {
        tokio::spawn(bridge(listener, socket, allowance.clone()));
    }
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        _ = terminate.recv() => None,
    };
    if !own_loopback {
        crate::process_tree::kill_descendants(std::process::id().cast_signed());
    }
    Ok(status.map_or(128 + libc::SIGTERM, |s| s.code().unwrap_or_else(|| 128 + s.signal().unwrap_or(0))))
}

fn replace(env: &mut BTreeMap<String, String>, args: &mut [String], from: &str, to: &str) {
    for text in env.values_mut().chain(args) {
        if text.contains(from) {
            *text = text.replace(from, to);
        }
    }
}

async fn bridge(listener: TcpListener, socket: PathBuf, allowance: std::sync::Arc<tokio::sync::Semaphore>) {
    loop {
        let Ok(permit) = allowance.clone().acquire_owned().await else { return };
        let Ok((mut inside, _)) = listener.accept().await else { continue };
        let _ = inside.set_nodelay(true);
        let socket = socket.clone();
        tokio::spawn(async move {
            let _permit = permit;
            connect_through(&mut inside, &socket).await;
        });
    }
}

async fn connect_through(inside: &mut TcpStream, socket: &PathBuf) {
    match UnixStream::connect(socket).await {
        // A broken connection is the business of its two ends.
        Ok(mut outside) => drop(tokio::io::copy_bidirectional(inside, &mut outside).await),
        Err(error) => eprintln!("sandbox: bridge to `{}`: {error}", socket.display()),
    }
}

/// The sandboxed program, confined between fork and exec.
fn command(plan: &Plan) -> Result<tokio::process::Command, Failure> {
    let spec = &plan.spec;
    let mut command = std::process::Command::new(&spec.program);
    command.args(&spec.args).env_clear().envs(&spec.env).current_dir(&spec.cwd).stdin(Stdio::null());
    let (mut rules, sockets) = match &plan.confinement {
        Confinement::Namespaces { .. } => (lockdown::apart()?, Sockets::Unrestricted),
        Confinement::Landlock { reach, .. } => (Some(lockdown::ruleset(reach)?), Sockets::TcpOnly),
        Confinement::Machine => (lockdown::apart()?, Sockets::Unrestricted),
    };
    // Around a machine of the program's own stands the machine; the filters are one more fence where its kernel has them.
    let optional = matches!(plan.confinement, Confinement::Machine);
    let filters = seccomp::filters(sockets)?;
    let mut limits = spec.limits.clone();
    if !matches!(plan.confinement, Confinement::Namespaces { .. }) {
        // Without a user namespace the kernel would count every process of this person.
        limits.processes = None;
    }
    // SAFETY: this process has one thread, so nothing holds a lock across the fork; the closure makes system calls.
    unsafe {
        command.pre_exec(move || {
            limit(&limits)?;
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            if let Some(rules) = rules.take() {
                rules.restrict_self().map_err(|error| std::io::Error::other(error.to_string()))?;
            }
            for filter in &filters {
                match seccompiler::apply_filter(filter) {
                    Err(error) if !optional => return Err(std::io::Error::other(error.to_string())),
                    _ => {}
                }
            }
            Ok(())
        });
    }
    Ok(command.into())
}

fn limit(limits: &Limits) -> std::io::Result<()> {
    let cap = |resource, value: Option<u64>| -> std::io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let (_, hard) = nix::sys::resource::getrlimit(resource)?;
        Ok(setrlimit(resource, value.min(hard), value.min(hard))?)
    };
    cap(Resource::RLIMIT_CORE, Some(0))?;
    cap(Resource::RLIMIT_NOFILE, Some(OPEN_FILES_MAX))?;
    cap(Resource::RLIMIT_FSIZE, limits.file_bytes)?;
    cap(Resource::RLIMIT_NPROC, limits.processes.map(u64::from))?;
    cap(Resource::RLIMIT_CPU, limits.cpu_s)
}

/// Gives up every capability (capset(2), prctl(2)).
fn drop_capabilities() -> std::io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [[0_u32; 3]; 2];
    // SAFETY: both pointers are to live values of the layout that version 3 asks for.
    let done = unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr())
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
