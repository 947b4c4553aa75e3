//! What to run, and what it may see and use.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A file or folder of this machine that the sandboxed program sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// An absolute path on this machine; it exists.
    pub source: PathBuf,
    /// Where the program sees it. Without mount namespaces it sees `source`: ask [`crate::Sandbox::inside`].
    pub target: PathBuf,
    pub writable: bool,
}

impl Mount {
    /// Seen at its own path, read-only.
    pub fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { source: path.clone(), target: path, writable: false }
    }

    /// Seen at its own path, writable.
    pub fn write(path: impl Into<PathBuf>) -> Self {
        Self { writable: true, ..Self::read(path) }
    }

    /// Seen at another path.
    pub fn at(self, target: impl Into<PathBuf>) -> Self {
        Self { target: target.into(), ..self }
    }
}

/// A TCP port on the sandbox's own loopback that leads to a unix socket of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    pub port: u16,
    pub socket: PathBuf,
}

impl Bridge {
    /// Stands for this bridge's `127.0.0.1:port` in arguments and environment values: without a network
    /// namespace of its own the sandbox gets a free port, and the text is replaced by what it got.
    pub fn address(&self) -> String {
        format!("@bridge-{}@", self.port)
    }
}

/// What the program can reach. Its own loopback always; nothing else by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The internet, but neither this machine's own addresses nor link-local ones (metadata services).
    /// `SpawnError::NoNetwork` when this machine cannot offer that.
    pub outside: bool,
    pub bridges: Vec<Bridge>,
}

/// Hard limits of the whole process tree. `None` leaves the limit to the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes together; passing it kills the tree.
    pub memory_bytes: Option<u64>,
    /// Processes and threads of the tree.
    pub processes: Option<u32>,
    /// One file (RLIMIT_FSIZE).
    pub file_bytes: Option<u64>,
    /// Processor seconds of one process (RLIMIT_CPU).
    pub cpu_s: Option<u64>,
}

/// One program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// An absolute path as seen inside.
    pub program: PathBuf,
    pub args: Vec<String>,
    /// The whole environment (and `TMPDIR` where /tmp cannot be private).
    pub env: BTreeMap<String, String>,
    /// As seen inside; must exist there.
    pub cwd: PathBuf,
    /// Beside the system's programs and libraries. A mount at `/tmp` replaces the private one in memory.
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub limits: Limits,
}
