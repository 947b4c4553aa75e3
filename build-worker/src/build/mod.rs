//! Builds an app the way `sam build` does, inside the sandbox: functions, layers and the static front end become zips.

use std::path::{Path, PathBuf};

use cloud::Sha256Digest;
use domain::ArtifactKind;
use sam::App;
use sandbox::Sandbox;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What to build, and with what.
pub struct BuildRequest<'a> {
    pub app: &'a App,
    /// The checked-out repository.
    pub source: &'a Path,
    /// The template's folder within it, without a slash at its end; empty for the root.
    pub folder: &'a str,
    /// Where packages go; made if absent, removed by the caller.
    pub output: &'a Path,
    /// Dependencies kept from build to build of this project.
    pub cache: &'a Path,
    pub sandbox: &'a Sandbox,
    /// Takes each line that a step prints.
    pub lines: mpsc::Sender<String>,
    pub cancel: CancellationToken,
}

/// One zip.
#[derive(Clone, Debug)]
pub struct Package {
    /// The logical id; `site` for the front end.
    pub name: String,
    pub kind: ArtifactKind,
    pub file: PathBuf,
    pub length: u64,
    /// The same content has the same digest.
    pub sha256: Sha256Digest,
}

/// What a build made.
#[derive(Clone, Debug, Default)]
pub struct Built {
    pub packages: Vec<Package>,
    /// What was done otherwise than the template asks (``python3.12 is built with the installed 3.11``).
    pub notes: Vec<String>,
}

/// Why a build stopped; the text is for the app's author.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("the build was asked to end")]
    Cancelled,
    #[error("{resource}: {reason}")]
    Failed { resource: String, reason: String },
}
