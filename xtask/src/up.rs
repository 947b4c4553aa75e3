//! `cargo xtask up`: from a clean clone to a running platform.

use anyhow::{Result, bail};

use crate::run::{cargo, program, replace_with, root, succeed};
use crate::{companions, frontend, tools};

/// Builds what is needed and becomes the platform. Arguments go to the platform as they are.
pub fn up(arguments: &[String]) -> Result<()> {
    tools::check_for_up()?;
    frontend::build()?;
    succeed(cargo().args(["build", "--quiet", "--release", "-p", "local"]))?;
    if !companions::built() {
        eprintln!("DynamoDB tables need a companion process: `cargo xtask companions` builds it once.");
    }
    let workroom = root().join("target/release/workroom");
    if !workroom.exists() {
        bail!("{} was not built; is `target-dir` set elsewhere?", workroom.display());
    }
    replace_with(program(workroom).args(arguments))
}
