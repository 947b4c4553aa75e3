//! One running companion.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cloud::{Error, Result};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

use crate::wire::forward::Remote;

/// How long a companion may take to open its database and listen.
const START_WAIT: Duration = Duration::from_secs(20);
/// How long it may take to finish what it is doing.
const STOP_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Companion {
    pub remote: Remote,
    child: Mutex<Child>,
    /// The companion stops when this closes.
    stdin: Mutex<Option<ChildStdin>>,
}

impl Companion {
    /// Starts `program` on `database` and waits for the line that says where it listens.
    pub async fn start(program: &Path, database: &Path) -> Result<Self> {
        if let Some(folder) = database.parent() {
            let failed = |error| Error::other(format!("making `{}`", folder.display()), error);
            tokio::fs::create_dir_all(folder).await.map_err(failed)?;
        }
        let mut child = Command::new(program)
            .arg("--database")
            .arg(database)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| missing(program, &error))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| Error::Unavailable("the DynamoDB companion's output".into()))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_WAIT, lines.next_line()).await;
        let address = match line {
            Ok(Ok(Some(line))) => line.strip_prefix("listening ").and_then(|address| address.parse().ok()),
            _ => None,
        };
        let Some(authority) = address else {
            return Err(Error::Unavailable(format!(
                "the DynamoDB companion for `{}` (it did not start)",
                database.display()
            )));
        };
        Ok(Self { remote: Remote::new(authority), child: Mutex::new(child), stdin: Mutex::new(stdin) })
    }

    pub async fn runs(&self) -> bool {
        matches!(self.child.lock().await.try_wait(), Ok(None))
    }

    pub async fn stop(&self) {
        self.stdin.lock().await.take();
        let mut child = self.child.lock().await;
        if tokio::time::timeout(STOP_WAIT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

fn missing(program: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::Unavailable(format!(
            "DynamoDB on this machine (its companion `{}` is not built: run `cargo xtask companions`)",
            program.display()
        ));
    }
    Error::Unavailable(format!("DynamoDB on this machine (starting `{}`: {error})", program.display()))
}
