//! `cargo xtask openapi`: the committed API document.

use anyhow::Result;

use crate::run::{cargo, root, succeed};

/// Writes `docs/openapi.json`; a test compares it with the code.
pub fn write() -> Result<()> {
    let path = root().join("docs/openapi.json");
    succeed(cargo().args(["run", "--quiet", "-p", "api", "--example", "openapi", "--"]).arg(path))
}
