//! Where lines come from, how far branches are apart, archives, and blobs by their id.

use std::sync::Arc;

use cloud::BlobStream;
use git_store::{ArchiveFormat, Blame, Comparison, File, Oid};
use identity::Permission;

use crate::repository::{Repository, existing_path, parse_oid, resolve};
use crate::{Caller, Error, Result};

/// An archive of a folder.
#[derive(Clone, Debug)]
pub struct ArchiveOf {
    pub reference: String,
    /// A folder; the root when `None`.
    pub path: Option<String>,
    pub format: ArchiveFormat,
}

impl Repository {
    /// Which commit each line of a file comes from.
    pub async fn blame(&self, caller: &Caller, project: &str, reference: &str, path: &str) -> Result<Arc<Blame>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = existing_path("path", path)?;
        let commit = resolve(&self.core, &project.id, reference).await?;
        let blame = self.core.git.blame(&project.repository()?, commit, &path).await;
        blame.map_err(|e| Error::git(e, "file", "path"))
    }

    /// How far `head` is from `base`. `hunks`: line by line as well.
    pub async fn compare(
        &self,
        caller: &Caller,
        project: &str,
        base: &str,
        head: &str,
        hunks: bool,
    ) -> Result<Comparison> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let base = resolve(&self.core, &project.id, base).await?;
        let head = resolve(&self.core, &project.id, head).await?;
        let compared = self.core.git.compare(&project.repository()?, base, head, hunks).await;
        compared.map_err(|e| Error::git(e, "commit", "head"))
    }

    /// Any blob of the project's repository, also one that no branch leads to any more.
    pub async fn blob(&self, caller: &Caller, project: &str, blob: &str) -> Result<File> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let oid: Oid = parse_oid(blob).map_err(|_| Error::invalid("blob", "A blob is named by 40 hex digits."))?;
        self.core.git.blob(&project.repository()?, oid).await.map_err(|e| Error::git(e, "blob", "blob"))
    }

    /// The files of a commit or folder as a stream, and the name of the archive.
    pub async fn archive(&self, caller: &Caller, project: &str, of: ArchiveOf) -> Result<(BlobStream, String)> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let path = of.path.as_deref().filter(|path| !path.is_empty());
        let path = path.map(|path| existing_path("path", path)).transpose()?;
        let commit = resolve(&self.core, &project.id, &of.reference).await?;
        let last = path.as_ref().and_then(|path| path.parts().last()).map(plain);
        let folder = last.filter(|name| !name.is_empty()).unwrap_or_else(|| project.slug.to_string());
        let ending = match of.format {
            ArchiveFormat::Zip => "zip",
            ArchiveFormat::TarGz => "tar.gz",
        };
        let short: String = commit.to_string().chars().take(7).collect();
        let name = format!("{folder}-{short}.{ending}");
        let stream = self.core.git.archive(&project.repository()?, commit, path, folder, of.format).await;
        Ok((stream.map_err(|e| Error::git(e, "folder", "path"))?, name))
    }
}

/// A name that fits into a header and every file system.
fn plain(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().map(fits).take(100).collect();
    name.trim_start_matches('.').to_owned()
}
