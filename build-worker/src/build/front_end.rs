//! The static front end: a folder with a page, or one whose `npm run build` makes it.

use std::path::{Path, PathBuf};

use super::node::{Manifest, Purpose};
use super::{BuildError, Builder, Output, Request, copy};

/// Where a front end is looked for, beside the template, in this order.
const FOLDERS: [&str; 6] = ["frontend", "web", "client", "site", "public", "static"];
/// Where its build leaves files, in this order.
const RESULTS: [&str; 3] = ["dist", "build", "out"];

/// What kind of front end lies in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Its own `npm run build` makes it.
    Built,
    /// Files that are taken as they are.
    Plain,
    Absent,
}

/// Looks where the front end is looked for; which kind it is counts only for where it is built.
pub fn kind(base: &Path) -> Kind {
    let folders = FOLDERS.iter().map(|name| base.join(name)).filter(|folder| folder.is_dir());
    folders.fold(Kind::Absent, |found, folder| match found {
        Kind::Built => Kind::Built,
        _ if folder.join("package.json").exists() => Kind::Built,
        _ if folder.join("index.html").is_file() => Kind::Plain,
        found => found,
    })
}

impl Builder {
    /// The folder of finished files; `None` when the repository has no front end.
    pub(super) async fn build_front_end(
        &self,
        request: &Request<'_>,
        output: &Output,
    ) -> Result<Option<PathBuf>, BuildError> {
        for name in FOLDERS {
            let Ok(folder) = copy::find(request.root, request.base, name) else { continue };
            if !folder.is_dir() {
                continue;
            }
            let manifest = Manifest::read(&folder)?;
            if let Some(manifest) = manifest.filter(|manifest| manifest.json["scripts"]["build"].is_string()) {
                output.line(format!("Building the front end in {name}/")).await;
                let work = request.scratch.join("front-end");
                copy::folder(folder, work.clone(), false).await?;
                for result in RESULTS {
                    // What the repository has there is not what the build makes.
                    let _ = std::fs::remove_dir_all(work.join(result));
                }
                self.install_node(request.owner(), &work, &manifest, Purpose::Here, output).await?;
                self.npm(&["run", "build"], &work, std::path::Path::new(""), true, output).await?;
                return made(&work).map(Some);
            }
            if folder.join("index.html").is_file() {
                output.line(format!("Taking the front end of {name}/ as it is")).await;
                return Ok(Some(folder));
            }
        }
        Ok(None)
    }
}

fn made(work: &std::path::Path) -> Result<PathBuf, BuildError> {
    // A link may lead out of the sandbox's reach: only a folder counts.
    let is_folder = |name: &str| std::fs::symlink_metadata(work.join(name)).is_ok_and(|metadata| metadata.is_dir());
    match RESULTS.iter().find(|name| is_folder(name)) {
        Some(name) => Ok(work.join(name)),
        None => Err(BuildError::failed("the front end's build made none of dist/, build/ and out/")),
    }
}
