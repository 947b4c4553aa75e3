//! `cargo xtask bench`: builds for speed, then measures.

use anyhow::Result;

use crate::run::{cargo, succeed};

pub fn bench(arguments: &[String]) -> Result<()> {
    succeed(cargo().args(["build", "--quiet", "--release", "-p", "local"]))?;
    succeed(cargo().args(["run", "--quiet", "--release", "-p", "bench", "--"]).args(arguments))
}
