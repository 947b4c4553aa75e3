//! Python packages.

use std::path::Path;

use super::cache::{Key, Owner};
use super::program::Program;
use super::{BuildError, Builder, Output, copy};

/// The largest `requirements.txt` read, in bytes.
const REQUIREMENTS_BYTES_MAX: u64 = 1024 * 1024;

impl Builder {
    /// Installs what `source/requirements.txt` lists into `target`, as `pip install -r requirements.txt -t` does.
    pub(super) async fn install_python(
        &self,
        owner: Owner<'_>,
        runtime: &str,
        source: &Path,
        target: &Path,
        output: &Output,
    ) -> Result<(), BuildError> {
        let Some(requirements) = read_regular(&source.join("requirements.txt"), REQUIREMENTS_BYTES_MAX)? else {
            return Ok(());
        };
        let text = String::from_utf8_lossy(&requirements).into_owned();
        if !text.lines().any(is_requirement) {
            return Ok(());
        }
        let wanted = runtime.strip_prefix("python").filter(|version| !version.is_empty());
        let python = self.settings.tools.python(wanted);
        let python = python.ok_or_else(|| BuildError::failed("python3 is not installed on this machine"))?;
        let mut key = Key::new(&format!("pip for {} of {runtime}", python.version));
        key.add("requirements.txt", &requirements);
        let entry = self.cached(owner, key);
        let cacheable = text.lines().all(stands_alone);
        if cacheable && entry.restore(target).await? {
            output.line("Python packages: as installed before").await;
            return Ok(());
        }
        let workspace = tempfile::tempdir_in(parent(target)).map_err(BuildError::io("making a folder for pip"))?;
        if cacheable {
            std::fs::write(workspace.path().join("requirements.txt"), &requirements)
                .map_err(BuildError::io("writing requirements.txt"))?;
        } else {
            copy::folder(source.to_owned(), workspace.path().to_owned(), false).await?;
        }
        let installed = workspace.path().join(".installed");
        let inside = self.seen(workspace.path(), Path::new(".installed")).display().to_string();
        let args = [
            "-m",
            "pip",
            "install",
            "--no-compile",
            "--disable-pip-version-check",
            "--no-input",
            "--no-warn-script-location",
        ];
        let args =
            args.into_iter().chain(["--root-user-action=ignore", "-r", "requirements.txt", "-t", inside.as_str()]);
        let program = Program {
            program: python.program,
            args: args.map(str::to_owned).collect(),
            mounts: python.mounts,
            workspace: workspace.path().to_owned(),
            network: true,
            ..Program::default()
        };
        self.run("pip install", program, output).await?;
        if cacheable {
            entry.keep(&installed).await?;
        }
        copy::folder(installed, target.to_owned(), true).await
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn is_requirement(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#')
}

/// Whether a line names a package by itself, and no other file of the repository.
fn stands_alone(line: &str) -> bool {
    let line = line.trim();
    !line.starts_with('-') && !line.starts_with(['.', '/']) && !line.contains("file:") && !line.contains("./")
}

/// The content of a plain file; `None` when there is none. Links are not followed: they may lead out.
pub(super) fn read_regular(path: &Path, most: u64) -> Result<Option<Vec<u8>>, BuildError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= most => {
            std::fs::read(path).map(Some).map_err(BuildError::io("reading a file of the checkout"))
        }
        Ok(_) => Err(BuildError::failed(format!(
            "`{}` is not a plain file of at most {most} bytes",
            path.file_name().unwrap_or_default().to_string_lossy()
        ))),
        Err(_) => Ok(None),
    }
}
