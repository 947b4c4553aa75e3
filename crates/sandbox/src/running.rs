//! A running sandbox: its output, its end, and the handle that kills it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::{Notify, watch};

use crate::{init, process_tree};

/// How a sandboxed program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The program's exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Memory passed the limit.
    pub out_of_memory: bool,
    /// It was killed by [`Killer::kill`] or a limit.
    pub killed: bool,
}

impl Exit {
    /// The program ended by itself, with code 0.
    pub fn success(self) -> bool {
        self.code == 0 && !self.killed
    }

    /// Nothing was run: the sandbox itself could not be set up; why is in stderr.
    pub fn setup_failed(self) -> bool {
        self.code == init::SETUP_FAILED && !self.killed
    }
}

/// A running sandbox. Dropping it kills the whole process tree.
pub struct Sandboxed {
    /// Take it to read; a pipe nobody reads stops the program when it is full.
    pub stdout: Option<ChildStdout>,
    pub stderr: Option<ChildStderr>,
    pub(crate) killer: Killer,
}

impl Sandboxed {
    /// Waits until nothing of it is alive.
    pub async fn wait(&self) -> Exit {
        self.killer.ended().await
    }

    /// Kills the whole tree, whatever its processes did to get away, and waits until it is dead.
    pub async fn kill(&self) -> Exit {
        self.killer.kill().await
    }

    /// A handle that can kill and measure from elsewhere.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Memory in use now (bytes).
    pub fn memory(&self) -> u64 {
        self.killer.memory()
    }
}

impl Drop for Sandboxed {
    fn drop(&mut self) {
        self.killer.shared.kill.notify_one();
    }
}

/// What the handles and the guard of one sandbox share.
pub(crate) struct Shared {
    pub root: i32,
    pub kill: Notify,
    pub memory_peak: AtomicU64,
}

/// Kills and measures a sandbox from elsewhere. Cheap to clone.
#[derive(Clone)]
pub struct Killer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) exit: watch::Receiver<Option<Exit>>,
}

impl Killer {
    /// Kills the whole tree and waits until it is dead.
    pub async fn kill(&self) -> Exit {
        self.shared.kill.notify_one();
        self.ended().await
    }

    /// Waits until nothing of it is alive.
    pub async fn ended(&self) -> Exit {
        let gone = Exit { code: 128 + libc::SIGKILL, out_of_memory: false, killed: true };
        self.exit.clone().wait_for(Option::is_some).await.ok().and_then(|exit| *exit).unwrap_or(gone)
    }

    /// How it ended, when it has.
    pub fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Memory in use now (bytes): anonymous and shared pages of all processes.
    pub fn memory(&self) -> u64 {
        let now = process_tree::memory(&process_tree::descendants(self.shared.root));
        self.shared.memory_peak.fetch_max(now, Ordering::Relaxed);
        now
    }

    /// The most memory seen in use (bytes), with now.
    pub fn memory_peak(&self) -> u64 {
        self.memory();
        self.shared.memory_peak.load(Ordering::Relaxed)
    }
}
