//! The front end: its packages, its checks, and the files that the platform serves.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::run::{program, root, succeed};

/// One npm package below `frontend/`.
struct Package {
    folder: &'static str,
    /// The page that its build makes, below `frontend/dist`.
    page: &'static str,
    /// What its build reads, below `frontend/`.
    sources: &'static [&'static str],
}

/// Every page but the workbench.
const APP: Package = Package {
    folder: "app",
    page: "index.html",
    sources: &[
        "../docs/openapi.json",
        "app/src",
        "app/build",
        "app/index.html",
        "app/vite.config.ts",
        "app/package-lock.json",
        "build",
    ],
};

/// The workbench. It shares the client of the API with the pages.
const IDE: Package = Package {
    folder: "ide",
    page: "ide/index.html",
    sources: &[
        "../docs/openapi.json",
        "app/src/api",
        "app/src/state",
        "app/src/text",
        "ide/src",
        "ide/build",
        "ide/index.html",
        "ide/vite.config.ts",
        "ide/package-lock.json",
        "build",
    ],
};

fn frontend() -> PathBuf {
    root().join("frontend")
}

/// Where the built files lie: what is served below `/static/`.
pub fn dist() -> PathBuf {
    frontend().join("dist")
}

/// Installs what the lock file of an npm package says, when that has changed.
pub fn install(package: &Path) -> Result<()> {
    let (lock, mark) = (package.join("package-lock.json"), package.join("node_modules/.installed-lock.json"));
    let wanted = std::fs::read(&lock).with_context(|| format!("reading {}", lock.display()))?;
    if std::fs::read(&mark).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    succeed(program("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(package))?;
    Ok(std::fs::write(mark, wanted)?)
}

impl Package {
    fn root(&self) -> PathBuf {
        frontend().join(self.folder)
    }

    fn install(&self) -> Result<()> {
        install(&self.root())
    }

    /// Whether the page is newer than everything that it is made from.
    fn is_built(&self) -> bool {
        let Some(built) = modified(&dist().join(self.page)) else { return false };
        self.sources.iter().filter_map(|source| newest(&frontend().join(source))).all(|changed| changed < built)
    }

    fn build(&self) -> Result<()> {
        succeed(program("node").arg("build/build.js").current_dir(self.root()))
    }

    fn tool(&self, name: &str, arguments: &[&str]) -> Result<()> {
        succeed(program(self.root().join("node_modules/.bin").join(name)).args(arguments).current_dir(self.root()))
    }
}

/// Writes the client of the API from its document; both packages use it.
fn client() -> Result<()> {
    succeed(program("node").arg("build/client.js").current_dir(APP.root()))
}

/// Builds what has changed since it was built.
pub fn build() -> Result<()> {
    // Both packages' sources lie side by side: one is checked and built with the other's packages there.
    let packages = [&APP, &IDE];
    if packages.iter().all(|package| package.is_built()) {
        return Ok(());
    }
    packages.iter().try_for_each(|package| package.install())?;
    client()?;
    packages.iter().filter(|package| !package.is_built()).try_for_each(|package| package.build())
}

/// Types and unit tests; the builds hold their budgets.
pub fn check() -> Result<()> {
    APP.install()?;
    IDE.install()?;
    client()?;
    APP.tool("tsc", &["--noEmit"])?;
    IDE.tool("tsc", &["--noEmit"])?;
    APP.tool("vitest", &["run"])?;
    build()
}

/// The pages in a browser, against the debug build of the platform.
pub fn browse() -> Result<()> {
    succeed(program("node").args(["--test", "--test-reporter=spec", "e2e/"]).current_dir(APP.root()))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

/// When the newest file at or below `path` was changed.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return modified(path);
    }
    std::fs::read_dir(path).ok()?.flatten().filter_map(|entry| newest(&entry.path())).max()
}
