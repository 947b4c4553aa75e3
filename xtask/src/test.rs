//! `cargo xtask test`: everything that must hold before a change lands.

use anyhow::{Context, Result};

use crate::run::{cargo, program, root, succeed};
use crate::tools::{python_tool, setup, with_python};

/// Runs the checks in order of how fast they fail. `filter` goes to the Rust tests alone.
pub fn test(filter: &[String]) -> Result<()> {
    setup()?;
    if filter.is_empty() {
        succeed(cargo().args(["fmt", "--all", "--check"])).context("run `cargo fmt --all`")?;
        succeed(program(python_tool("cfn-lint")).arg("template.yaml"))?;
        starters()?;
        succeed(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet"]))?;
    }
    // The end-to-end tests start the platform as its users do: as a program of its own.
    succeed(cargo().args(["build", "--quiet", "-p", "local"]))?;
    succeed(with_python(cargo().args(["test", "--workspace", "--quiet"])).args(filter))
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
