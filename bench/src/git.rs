//! The stock git client.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// `git ARGUMENTS` in `folder`, with no configuration but this.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=Bench", "-c", "user.email=bench@example.com", "-c", "init.defaultBranch=main"])
        .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "credential.helper="])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null());
    command
}

pub fn git(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = command(folder, arguments).output().context("starting git")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.first().unwrap_or(&""),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
