//! Folders within the checkout: found without leaving it, copied without following links.

use std::fs;
use std::path::{Path, PathBuf};

use super::BuildError;

/// Never part of a package: version control, editors' and builders' own folders.
const LEFT_OUT: [&str; 6] = [".git", ".aws-sam", "node_modules", "__pycache__", ".venv", ".home"];
/// Deepest folder.
const DEPTH_MAX: usize = 64;

/// The file or folder `path` of the template in `base`, which must lie within `root`.
pub fn find(root: &Path, base: &Path, path: &str) -> Result<PathBuf, BuildError> {
    let missing = || BuildError::failed(format!("`{path}` is not in the repository"));
    let found = base.join(path).canonicalize().map_err(|_| missing())?;
    let root = root.canonicalize().map_err(BuildError::io("reading the checkout"))?;
    if found.starts_with(&root) { Ok(found) } else { Err(missing()) }
}

/// Copies the files of `from` into `to`; links are copied as links.
pub async fn folder(from: PathBuf, to: PathBuf, all: bool) -> Result<(), BuildError> {
    let context = format!("copying `{}`", from.file_name().unwrap_or_default().to_string_lossy());
    blocking(move || copy(&from, &to, all, 0)).await?.map_err(BuildError::io(context))
}

/// Runs file work off the async threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BuildError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| BuildError::failed(format!("file work stopped: {error}")))
}

fn copy(from: &Path, to: &Path, all: bool, depth: usize) -> std::io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(std::io::Error::other(format!("folders are nested deeper than {DEPTH_MAX}")));
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if !all && name.to_str().is_some_and(|name| LEFT_OUT.contains(&name)) {
            continue;
        }
        let target = to.join(&name);
        if kind.is_dir() {
            copy(&entry.path(), &target, all, depth + 1)?;
        } else if kind.is_symlink() {
            remove_any(&target)?;
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            remove_any(&target)?;
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Removes what stands at `path`, so that a copy never writes through a link.
fn remove_any(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
