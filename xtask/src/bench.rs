//! `cargo xtask bench`: builds for speed, then measures.

use anyhow::{Context, Result};

use crate::packages::packages;
use crate::run::{cargo, program, root, succeed};
use crate::tools::setup;

const COLD_START: &str = "cold-start";
/// A bundle as an ES module may still ask for Node's own modules by `require`.
const REQUIRE: &str =
    "--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);";

pub fn bench(arguments: &[String]) -> Result<()> {
    if arguments.is_empty() || arguments.iter().any(|name| name == COLD_START) {
        prepare_cold_start()?;
    }
    if arguments != [COLD_START] {
        succeed(cargo().args(["build", "--quiet", "--release", "-p", "local"]))?;
    }
    succeed(cargo().args(["run", "--quiet", "--release", "-p", "bench", "--"]).args(arguments))
}

/// The packages for this machine, and what they are compared with.
fn prepare_cold_start() -> Result<()> {
    setup()?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    packages(&["--arch".into(), architecture.into()])?;
    let (from, to) = (root().join("bench/cold-start"), root().join("target/cold-start"));
    std::fs::create_dir_all(&to)?;
    for file in ["package.json", "package-lock.json", ".npmrc", "handler.mjs"] {
        std::fs::copy(from.join(file), to.join(file)).with_context(|| format!("copying {file}"))?;
    }
    succeed(program("npm").current_dir(&to).args(["ci", "--silent", "--no-audit", "--no-fund"]))?;
    let esbuild = to.join("node_modules/.bin/esbuild");
    let bundled = ["handler.mjs", "--bundle", "--platform=node", "--target=node20", "--format=esm", "--minify"];
    succeed(program(esbuild).current_dir(&to).args(bundled).args([
        "--outfile=bundle.mjs",
        "--log-level=error",
        REQUIRE,
    ]))?;
    succeed(program("python3").current_dir(&to).args(["-m", "zipfile", "-c", "bundle.zip", "bundle.mjs"]))
}
