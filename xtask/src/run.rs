//! Starting other programs.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The repository's root folder.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// A program to be run in the repository's root.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Cargo, the one that runs this.
#[allow(clippy::disallowed_methods, reason = "cargo names itself in its environment")]
pub fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` to its end; an error names it when it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let shown = format!("{} {}", name(command), arguments(command));
    let status = command.status().with_context(|| format!("`{}` could not be started", name(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown.trim());
    }
    Ok(())
}

/// Replaces this process, so that signals reach the program itself.
pub fn replace_with(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| format!("`{}` could not be started", name(command)))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn arguments(command: &Command) -> String {
    command.get_args().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
