//! Runs one program of a build in the sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Limits, Mount, Network, SpawnError, Spec};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::sync::mpsc;

use super::{BuildError, Builder, Output};

/// A line of output longer than this is cut into several (bytes).
const LINE_BYTES_MAX: u64 = 16 * 1024;
const MEMORY_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
const PROCESSES_MAX: u32 = 1024;
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Processor seconds of one process.
const CPU_S_MAX: u64 = 900;
/// Output that processes left behind may still come in this long after the program has ended.
const DRAIN: Duration = Duration::from_secs(2);

/// The search path inside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the folder that is built stands inside.
pub const WORKSPACE: &str = "/workspace";

/// A program with what it needs.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub environment: BTreeMap<String, String>,
    /// Writable, at `/workspace`; the program starts in `below` of it.
    pub workspace: PathBuf,
    pub below: PathBuf,
    pub mounts: Vec<Mount>,
    /// Folders to put before the search path.
    pub path: Vec<PathBuf>,
    /// It may reach package registries.
    pub network: bool,
}

impl Builder {
    /// Where the program will see `path`, a part of `workspace`.
    pub(super) fn seen(&self, workspace: &Path, path: &Path) -> PathBuf {
        let mount = Mount::write(workspace).at(WORKSPACE);
        let inside = self.settings.sandbox.inside(&mount).to_owned();
        inside.join(path)
    }

    /// Runs a program to its end and passes its output on. An exit code other than 0 is `BuildError::Failed`.
    pub(super) async fn run(&self, what: &str, program: Program, output: &Output) -> Result<(), BuildError> {
        output.check()?;
        let outside = program.network && self.settings.sandbox.reaches_outside();
        let spec = self.spec(program, outside);
        let mut child = match self.settings.sandbox.spawn(spec).await {
            Ok(child) => child,
            Err(error @ SpawnError::NoNetwork(_)) => return Err(BuildError::failed(format!("{what}: {error}"))),
            Err(error) => return Err(BuildError::failed(format!("{what} could not be started: {error}"))),
        };
        let readers = [
            child.stdout.take().map(|stream| tokio::spawn(pass_on(stream, output.lines.clone()))),
            child.stderr.take().map(|stream| tokio::spawn(pass_on(stream, output.lines.clone()))),
        ];
        let exit = tokio::select! {
            exit = child.wait() => exit,
            () = output.stop.cancelled() => {
                child.kill().await;
                return Err(BuildError::Stopped);
            }
        };
        for reader in readers.into_iter().flatten() {
            let _ = tokio::time::timeout(DRAIN, reader).await;
        }
        if exit.success() {
            return Ok(());
        }
        let hint = match program_hint(&exit, outside) {
            Some(hint) => format!(" ({hint})"),
            None => String::new(),
        };
        Err(BuildError::failed(format!("{what} ended with exit code {}{hint}", exit.code)))
    }

    fn spec(&self, program: Program, outside: bool) -> Spec {
        let workspace = Mount::write(&program.workspace).at(WORKSPACE);
        let inside = self.settings.sandbox.inside(&workspace).to_owned();
        let path: Vec<String> = program.path.iter().map(|part| part.display().to_string()).collect();
        let path = path.iter().map(String::as_str).chain([PATH]).collect::<Vec<_>>().join(":");
        let mut env = self.settings.environment.clone();
        env.extend([
            ("PATH".to_owned(), path),
            ("HOME".to_owned(), inside.join(".home").display().to_string()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
            ("CI".to_owned(), "true".to_owned()),
        ]);
        env.extend(program.environment);
        let mut mounts = program.mounts;
        mounts.push(workspace);
        Spec {
            program: program.program,
            args: program.args,
            env,
            cwd: inside.join(program.below),
            mounts,
            network: Network { outside, bridges: Vec::new() },
            limits: Limits {
                memory_bytes: Some(MEMORY_BYTES_MAX),
                processes: Some(PROCESSES_MAX),
                file_bytes: Some(FILE_BYTES_MAX),
                cpu_s: Some(CPU_S_MAX),
            },
        }
    }
}

fn program_hint(exit: &sandbox::Exit, outside: bool) -> Option<&'static str> {
    match () {
        () if exit.out_of_memory => Some("it used more than 2 GiB of memory"),
        () if exit.setup_failed() => Some("the sandbox could not be set up"),
        () if !outside => Some("builds have no network here: slirp4netns is missing"),
        () => None,
    }
}

async fn pass_on(stream: impl AsyncRead + Unpin, lines: mpsc::Sender<String>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        match (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        // A reader that is gone stops the log, not the program: the pipe must be emptied.
        let _ = lines.send(text.trim_end_matches(['\n', '\r']).to_owned()).await;
    }
}
