//! `cargo xtask test`: everything that must hold before a change lands.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::run::{cargo, program, root, succeed};
use crate::tools::{python_tool, setup, with_environments};
use crate::{companions, dependencies, frontend, test_aws};

/// The functions, as they are built for Lambda.
const FUNCTIONS: [&str; 4] = ["api", "authorizer", "websocket", "build-worker"];

/// Runs the checks in order of how fast they fail. `filter` goes to the Rust tests alone.
pub fn test(filter: &[String]) -> Result<()> {
    setup()?;
    if filter.is_empty() {
        succeed(cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
        dependencies::check()?;
        succeed(program(python_tool("cfn-lint")).arg("template.yaml"))?;
        starters()?;
        frontend::check()?;
        succeed(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet"]))?;
        functions()?;
    }
    frontend::build()?;
    companions::build()?;
    // The end-to-end tests start the platform as its users do: as a program of its own.
    succeed(cargo().args(["build", "--quiet", "-p", "local"]))?;
    let all = ["test", "--workspace", "--exclude", "cloud-aws", "--no-fail-fast"];
    let mut counts = counted(with_environments(cargo().args(all)).args(filter))?;
    // Apart from the rest, so that the AWS SDKs are not linked into anything else.
    let adapters = ["test", "-p", "cloud-aws", "--features", "all", "--no-fail-fast"];
    counts.add(&counted(with_environments(cargo().args(adapters)).args(filter))?);
    if filter.is_empty() {
        frontend::browse()?;
        test_aws::short()?;
    }
    println!("{} passed, {} failed", counts.passed, counts.failed);
    if counts.failed > 0 || !counts.succeeded {
        bail!("the tests did not all pass");
    }
    Ok(())
}

/// The functions with their AWS adapters compile and keep the lints.
fn functions() -> Result<()> {
    let mut clippy = cargo();
    clippy.args(["clippy", "--quiet", "--bins", "-p", "cloud-aws", "--features", "cloud-aws/all"]);
    for function in FUNCTIONS {
        clippy.args(["-p", function, "--features", &format!("{function}/aws")]);
    }
    succeed(&mut clippy)?;
    succeed(cargo().args(["clippy", "--quiet", "--all-targets", "-p", "cloud-aws", "--features", "all"]))
}

/// The starters' own tests and templates.
fn starters() -> Result<()> {
    let starters = root().join("starters");
    for name in ["python", "node", "empty"] {
        succeed(program(python_tool("cfn-lint")).arg(starters.join(name).join("template.yaml")))?;
    }
    succeed(
        program("python3")
            .args(["-m", "unittest", "discover", "-q", "-s", "tests", "-t", "."])
            .current_dir(starters.join("python")),
    )?;
    succeed(program("npm").args(["test", "--silent"]).current_dir(starters.join("node")))
}

#[derive(Default)]
struct Counts {
    passed: u64,
    failed: u64,
    succeeded: bool,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.succeeded &= other.succeeded;
    }
}

/// Runs Rust's tests, shows what they print, and adds up their closing lines.
fn counted(command: &mut Command) -> Result<Counts> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo could not be started")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("the tests' output")?).lines() {
        let line = line?;
        println!("{line}");
        let Some(results) = line.strip_prefix("test result: ") else { continue };
        let number = |name: &str| {
            let before = results.split(name).next().unwrap_or_default().trim();
            before.rsplit(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0)
        };
        counts.passed += number(" passed");
        counts.failed += number(" failed");
    }
    counts.succeeded = child.wait()?.success();
    Ok(counts)
}
