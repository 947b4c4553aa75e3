//! The programs that the house needs from outside, and how to get them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::frontend::install;
use crate::run::{program, root, succeed};

/// A Python environment of the tests' own, below `target`. Packages that cannot live together have one each.
struct Environment {
    folder: &'static str,
    /// Pinned, so that the same run finds the same things everywhere.
    packages: &'static [&'static str],
}

/// Stock clients and linters.
const CLIENTS: Environment = Environment {
    folder: "venv",
    packages: &[
        "boto3==1.43.11",
        "awscli==1.45.11",
        "cfn-lint==1.51.0",
        "aws-sam-translator==1.110.0",
        "dulwich==1.2.21",
    ],
};

/// Stock clients in JavaScript, pinned by a lock file of their own.
const NODE_CLIENTS: &str = "tests/node";

/// Strangers' emulators of AWS, which the AWS adapters are tried against.
const EMULATORS: Environment = Environment {
    folder: "venv-aws",
    packages: &[
        "ministack==1.5.33",
        // ministack's SAM transform
        "aws-sam-translator==1.110.0",
        "moto[server]==5.2.5",
        "boto3==1.43.106",
        "botocore==1.43.106",
    ],
};

/// What packages and deploys functions for AWS.
const SAM: Environment = Environment {
    folder: "venv-sam",
    packages: &["aws-sam-cli==1.170.0", "cargo-lambda==1.9.2", "ziglang==0.17.1", "cfn-lint==1.58.0"],
};

/// Debian's AWS CLI is version 2. The one of the Python environment is version 1, which has no `logs tail`.
const AWS: &str = "/usr/bin/aws";
const AWS_MAJOR: &str = "aws-cli/2";

struct Tool {
    name: &'static str,
    version: &'static [&'static str],
    /// What it is for, as the reader of an error sees it.
    purpose: &'static str,
    debian: &'static str,
}

/// What `up` cannot do without.
const TO_BUILD: &[Tool] = &[
    Tool { name: "cc", version: &["--version"], purpose: "compiling SQLite and libgit2", debian: "build-essential" },
    Tool { name: "node", version: &["--version"], purpose: "the front end and Node functions", debian: "nodejs" },
    Tool { name: "npm", version: &["--version"], purpose: "the front end and Node builds", debian: "npm" },
];

/// Whether pip is there; to start it takes half a second.
const HAS_PIP: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pip') is None)";

/// What users' builds and functions run on.
const TO_RUN_USERS_CODE: &[Tool] = &[
    Tool { name: "bwrap", version: &["--version"], purpose: "the sandbox of users' code", debian: "bubblewrap" },
    Tool {
        name: "slirp4netns",
        version: &["--version"],
        purpose: "the network of users' builds",
        debian: "slirp4netns",
    },
    Tool { name: "python3", version: &["--version"], purpose: "Python functions", debian: "python3" },
    Tool { name: "pip", version: &["-c", HAS_PIP], purpose: "Python builds", debian: "python3-pip" },
    Tool { name: "make", version: &["--version"], purpose: "Makefile builds", debian: "make" },
];

/// What the tests use besides.
const TO_TEST: &[Tool] = &[
    Tool { name: "git", version: &["--version"], purpose: "the stock client of the Git tests", debian: "git" },
    Tool { name: "git-lfs", version: &["--version"], purpose: "the stock client of Git LFS", debian: "git-lfs" },
    Tool {
        name: "venv",
        version: &["-c", "import ensurepip"],
        purpose: "the tests' Python tools",
        debian: "python3-venv",
    },
    Tool { name: AWS, version: &["--version"], purpose: "`aws logs tail`, version 2", debian: "awscli" },
    Tool { name: "strace", version: &["--version"], purpose: "what a push leaves at a power cut", debian: "strace" },
    Tool { name: "chromium", version: &["--version"], purpose: "the pages in a browser", debian: "chromium" },
];

fn present(tool: &Tool) -> bool {
    let name = if matches!(tool.name, "pip" | "venv") { "python3" } else { tool.name };
    program(name).args(tool.version).output().is_ok_and(|output| {
        output.status.success() && (tool.name != AWS || output.stdout.starts_with(AWS_MAJOR.as_bytes()))
    })
}

/// Asks all at once: some take a third of a second to say their version.
fn missing<'a>(tools: impl IntoIterator<Item = &'a Tool>) -> Vec<&'a Tool> {
    std::thread::scope(|scope| {
        let asked: Vec<_> = tools.into_iter().map(|tool| (tool, scope.spawn(|| present(tool)))).collect();
        asked.into_iter().filter_map(|(tool, answer)| (!answer.join().unwrap_or(false)).then_some(tool)).collect()
    })
}

fn line(tools: &[&Tool]) -> String {
    let what: Vec<String> = tools.iter().map(|t| format!("{} ({})", t.name, t.purpose)).collect();
    let packages: Vec<&str> = tools.iter().map(|t| t.debian).collect();
    format!("missing: {}; on Debian: apt-get install {}", what.join(", "), packages.join(" "))
}

/// Fails, in one line, when the platform cannot be built here; names what its users would miss.
pub fn check_for_up() -> Result<()> {
    let absent = missing(TO_BUILD.iter().chain(TO_RUN_USERS_CODE));
    let is_needed = |tool: &&Tool| TO_BUILD.iter().any(|needed| needed.name == tool.name);
    let (needed, others): (Vec<_>, Vec<_>) = absent.into_iter().partition(is_needed);
    if !needed.is_empty() {
        bail!("{}", line(&needed));
    }
    if !others.is_empty() {
        eprintln!("{} (the platform starts without them)", line(&others));
    }
    Ok(())
}

/// Installs what can be installed, then fails with one line when something is still missing.
pub fn setup() -> Result<()> {
    let all = || TO_BUILD.iter().chain(TO_RUN_USERS_CODE).chain(TO_TEST);
    let absent = missing(all());
    if !absent.is_empty() && is_root() && present(&APT) {
        succeed(program("apt-get").args(["update", "-qq"]))?;
        let packages: Vec<&str> = absent.iter().map(|tool| tool.debian).collect();
        succeed(
            program("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["install", "-y", "-qq", "--no-install-recommends"])
                .args(packages),
        )?;
    }
    let absent = missing(all());
    if !absent.is_empty() {
        bail!("{}", line(&absent));
    }
    install(&root().join(NODE_CLIENTS))?;
    [&CLIENTS, &EMULATORS, &SAM].into_iter().try_for_each(Environment::make)
}

const APT: Tool = Tool { name: "apt-get", version: &["--version"], purpose: "packages", debian: "apt" };

fn is_root() -> bool {
    // SAFETY: geteuid reads the process's own user id and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

impl Environment {
    fn path(&self) -> PathBuf {
        root().join("target").join(self.folder)
    }

    fn programs(&self) -> PathBuf {
        self.path().join("bin")
    }

    /// Makes it, once for each list of packages.
    fn make(&self) -> Result<()> {
        let mark = self.path().join("packages.txt");
        let wanted = self.packages.join("\n");
        if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        if succeed(program("python3").args(["-m", "venv", "--clear"]).arg(self.path())).is_err() {
            bail!("python3 cannot make a virtual environment; on Debian: apt-get install python3-venv");
        }
        succeed(program(self.programs().join("pip")).args(["install", "--quiet"]).args(self.packages))?;
        std::fs::write(mark, wanted)?;
        Ok(())
    }
}

/// Tells a test where the Python environments are, without changing what users' code finds.
pub fn with_environments(command: &mut Command) -> &mut Command {
    command
        .env("WORKROOM_TEST_PYTHON", CLIENTS.programs().join("python"))
        .env("WORKROOM_TEST_TOOLS", CLIENTS.programs())
        .env("WORKROOM_TEST_EMULATORS", EMULATORS.programs())
        .env("WORKROOM_TEST_SAM", SAM.programs())
}

/// A program of the tests' clients and linters.
pub fn python_tool(name: &str) -> OsString {
    CLIENTS.programs().join(name).into_os_string()
}

/// The tools that a deploy uses, and no others: it needs no interpreter of users' code.
pub fn setup_to_deploy() -> Result<()> {
    let absent = missing(TO_BUILD.iter().chain(TO_TEST.iter().filter(|tool| tool.name == "venv")));
    if !absent.is_empty() {
        bail!("{}", line(&absent));
    }
    [&CLIENTS, &SAM].into_iter().try_for_each(Environment::make)
}

/// Lets the SAM CLI find what builds Rust for Lambda.
#[allow(clippy::disallowed_methods, reason = "programs are found by their path")]
pub fn with_sam_tools(command: &mut Command) -> &mut Command {
    let own = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(SAM.programs()).chain(std::env::split_paths(&own));
    // A folder's name with a colon in it cannot be searched; the tools are then found as they were before.
    command.env("PATH", std::env::join_paths(all).unwrap_or(own))
}

/// A stranger's emulator.
pub fn emulator_tool(name: &str) -> OsString {
    EMULATORS.programs().join(name).into_os_string()
}

/// The Python environment of what packages or deploys functions.
pub fn sam_folder() -> PathBuf {
    SAM.path()
}

/// A program that packages or deploys functions.
pub fn sam_tool(name: &str) -> OsString {
    SAM.programs().join(name).into_os_string()
}
