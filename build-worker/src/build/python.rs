//! Python packages.

use std::path::Path;

use super::cache::{Key, Owner};
use super::program::Program;
use super::{BuildError, Builder, Output, Target, copy};

/// The largest `requirements.txt` read, in bytes.
const REQUIREMENTS_BYTES_MAX: u64 = 1024 * 1024;

impl Builder {
    /// Installs what `source/requirements.txt` lists into `target`, as `pip install -r requirements.txt -t` does.
    pub(super) async fn install_python(
        &self,
        owner: Owner<'_>,
        runtime: &str,
        architecture: &str,
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
        let foreign = self.foreign_python(wanted, &python.version, architecture);
        let mut key = Key::new(&format!("pip for {} of {runtime} {}", python.version, foreign.join(" ")));
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
        let args = args.map(str::to_owned).chain(foreign);
        let program = Program {
            program: python.program,
            args: args.collect(),
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

impl Builder {
    /// Flags that make pip choose wheels for another interpreter or processor than this one's ("pip install", platform
    /// compatibility). Then nothing can be compiled: a package without such a wheel is named by pip.
    fn foreign_python(&self, wanted: Option<&str>, own: &str, architecture: &str) -> Vec<String> {
        let other_version = wanted.is_some_and(|wanted| !own.starts_with(&format!("{wanted}.")));
        let foreign = self.is_foreign(architecture) || other_version && self.settings.target == Target::Lambda;
        let (true, Some(version)) = (foreign, wanted) else { return Vec::new() };
        let processor = if architecture == "arm64" { "aarch64" } else { "x86_64" };
        let minor: u32 = version.rsplit('.').next().and_then(|minor| minor.parse().ok()).unwrap_or(0);
        // Python 3.12 and later run on Amazon Linux 2023 (glibc 2.34), those before on Amazon Linux 2 (2.26).
        let glibc = if minor >= 12 { 34 } else { 26 };
        let platforms = (17..=glibc).rev().map(|glibc| format!("--platform=manylinux_2_{glibc}_{processor}"));
        let named = [
            "--only-binary=:all:".to_owned(),
            "--implementation=cp".to_owned(),
            format!("--python-version={version}"),
            format!("--platform=manylinux2014_{processor}"),
        ];
        named.into_iter().chain(platforms).collect()
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
