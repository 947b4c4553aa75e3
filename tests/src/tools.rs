//! Stock programs, kept apart from the machine's own settings.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs to the end; the test ends with what the program said when it fails.
#[track_caller]
pub fn succeed(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs to the end and must fail; the answer is everything it said.
#[track_caller]
pub fn fail(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{command:?} succeeded\n{}", said(&output));
    said(&output)
}

/// Runs to the end, however it ends.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Stock git that never asks and reads nobody's settings.
pub fn git(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"])
        .args(["-c", "protocol.version=2", "-c", "gc.auto=0"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

/// Stock git with the filters of stock git-lfs, as `git lfs install` sets them.
pub fn git_with_lfs(folder: &Path, arguments: &[&str]) -> Command {
    let filters = [
        "filter.lfs.clean=git-lfs clean -- %f",
        "filter.lfs.smudge=git-lfs smudge -- %f",
        "filter.lfs.process=git-lfs filter-process",
        "filter.lfs.required=true",
    ];
    let mut all: Vec<&str> = filters.iter().flat_map(|one| ["-c", one]).collect();
    all.extend(arguments);
    let mut command = git(folder, &all);
    command.env("HOME", folder);
    command
}

/// A Python that has boto3.
#[allow(clippy::disallowed_methods, reason = "the test command says where its Python is")]
pub fn python() -> Command {
    Command::new(std::env::var_os("WORKROOM_TEST_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// The stock AWS CLI, or another tool of the tests' Python environment.
#[allow(clippy::disallowed_methods, reason = "the test command says where its tools are")]
pub fn python_tool(name: impl AsRef<OsStr>) -> Command {
    match std::env::var_os("WORKROOM_TEST_TOOLS") {
        Some(folder) => Command::new(Path::new(&folder).join(name.as_ref())),
        None => Command::new(name),
    }
}

/// The stock AWS CLI, version 2: Debian's. The Python environment has version 1, which cannot follow logs.
pub fn aws(endpoint: &str, credentials: &Value) -> Command {
    let mut command = Command::new("/usr/bin/aws");
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("PYTHONUNBUFFERED", "1")
        .env("AWS_PAGER", "")
        .args(["--endpoint-url", endpoint, "--color", "off"])
        .envs(keys(credentials));
    command
}

/// What an AWS SDK reads, from an answer of `POST .../credentials`.
pub fn keys(credentials: &Value) -> Vec<(&'static str, String)> {
    let names = [
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("AWS_SESSION_TOKEN", "session_token"),
        ("AWS_DEFAULT_REGION", "region"),
    ];
    names.into_iter().filter_map(|(name, key)| Some((name, credentials[key].as_str()?.to_owned()))).collect()
}
