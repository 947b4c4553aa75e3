//! Builds what a template names, the way `sam build` does, in the sandbox.
//!
//! **Invariant**: users' programs run only through [`program::run`], and packages are made when none of them is
//! alive: nothing changes below the packer's feet, and it follows no link out of the checkout.

mod archive;
pub(crate) mod cache;
mod copy;
mod front_end;
mod functions;
mod node;
mod package;
mod plan;
mod program;
mod python;
mod unpack;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use cloud::Sha256Digest;
use sandbox::{Sandbox, Tools};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::mask::Mask;

pub use archive::{ArchiveError, check_zip};
pub use package::{Archive, archive};
pub use plan::{Family, Plan, PlannedFunction, PlannedLayer};
pub use unpack::unpack;

pub(crate) use copy::blocking;

/// What builds use of this machine.
#[derive(Clone)]
pub struct BuilderSettings {
    pub sandbox: Sandbox,
    pub tools: Tools,
    /// Where installed dependencies are kept, by project and lock file.
    pub cache: PathBuf,
    /// Variables that every build gets: addresses of package registries, and no keys of the platform.
    pub environment: BTreeMap<String, String>,
    pub target: Target,
}

/// Where packages with machine code are going to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// On this machine, with the interpreters that it has.
    Machine,
    /// On Lambda: each function's own runtime and architecture.
    Lambda,
}

/// Why a build made nothing.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the build was stopped")]
    Stopped,
    /// The project's own doing; the text says what to change.
    #[error("{0}")]
    Failed(String),
    #[error("{context}")]
    Io {
        context: String,
        #[source]
        source: std::io::Error,
    },
    /// The platform's own trouble: the same again may succeed.
    #[error(transparent)]
    Cloud(#[from] cloud::Error),
}

impl BuildError {
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(crate) fn io(context: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let context = context.into();
        move |source| Self::Io { context, source }
    }
}

/// Where lines of the log go, and the wish to stop.
#[derive(Clone)]
pub struct Output {
    pub lines: mpsc::Sender<String>,
    pub stop: CancellationToken,
}

impl Output {
    /// Writes a line; a reader that is gone is no error.
    pub async fn line(&self, text: impl Into<String>) {
        let _ = self.lines.send(text.into()).await;
    }

    fn check(&self) -> Result<(), BuildError> {
        if self.stop.is_cancelled() { Err(BuildError::Stopped) } else { Ok(()) }
    }
}

/// What to build.
pub struct Request<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// The folder of the template, within the checkout.
    pub base: &'a Path,
    pub plan: &'a Plan,
    /// An empty folder for intermediate files and packages.
    pub scratch: &'a Path,
    /// Keeps projects' caches apart.
    pub project: &'a str,
    /// Names this attempt among all others: letters, digits, `-`, `_` and `/`.
    pub run: &'a str,
    /// Where dependencies are kept for every worker; `None` keeps them on this disk alone.
    pub blobs: Option<Arc<dyn cloud::Blobs>>,
}

impl Request<'_> {
    fn owner(&self) -> cache::Owner<'_> {
        cache::Owner { project: self.project, blobs: self.blobs.as_ref() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageKind {
    Function,
    Layer,
    Site,
}

/// A finished zip.
#[derive(Clone, Debug)]
pub struct Package {
    /// The logical id; `site` for the front end.
    pub name: String,
    pub kind: PackageKind,
    pub file: PathBuf,
    pub sha256: Sha256Digest,
    pub length: u64,
}

/// What a build came to.
#[derive(Debug, Default)]
pub struct Built {
    pub packages: Vec<Package>,
    /// What was done otherwise than asked, for people.
    pub notes: Vec<String>,
}

/// Makes packages: here, or somewhere apart.
#[async_trait]
pub trait Build: Send + Sync {
    /// What must not be read in the log of a build.
    fn mask(&self) -> Mask;
    /// Builds everything in the plan.
    async fn build(&self, request: &Request<'_>, output: &Output) -> Result<Built, BuildError>;
    /// Ends what a build of that run may have left running elsewhere when its future was dropped.
    async fn abandon(&self, run: &str);
}

/// Builds functions, layers and the front end on this machine.
#[derive(Clone)]
pub struct Builder {
    settings: BuilderSettings,
}

impl Builder {
    pub fn new(settings: BuilderSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Build for Builder {
    fn mask(&self) -> Mask {
        Mask::new(std::iter::empty(), &self.settings.environment)
    }

    /// Identical functions are built once.
    async fn build(&self, request: &Request<'_>, output: &Output) -> Result<Built, BuildError> {
        let mut built = Built::default();
        self.build_functions(request, output, &mut built).await?;
        self.build_layers(request, output, &mut built).await?;
        if !request.plan.front_end {
            return Ok(built);
        }
        if let Some(folder) = self.build_front_end(request, output).await? {
            let package = package::pack("site", PackageKind::Site, folder, request.scratch).await?;
            output.line(format!("Front end: {} bytes", package.length)).await;
            built.packages.push(package);
        }
        Ok(built)
    }

    /// A sandbox does not outlive its handle: nothing is left.
    async fn abandon(&self, _run: &str) {}
}
