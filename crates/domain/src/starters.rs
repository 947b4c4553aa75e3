//! Starters: SAM apps that new projects begin from.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cloud::BlobKey;
use git_store::{CommitFiles, FileChange, FileMode, RefChange, RefPolicy, RepoPath, Signature};
use serde::Serialize;

use crate::core::{Core, StarterSource};
use crate::projects::ProjectRecord;
use crate::{Caller, Error, Result};

const STARTERS_MAX: usize = 100;
const FILES_MAX: usize = 2_000;
/// All files of one starter (bytes).
const BYTES_MAX: usize = 20 * 1024 * 1024;
const DEPTH_MAX: usize = 20;
/// Left by builds and editors in a starter's folder; never part of a project.
const NOT_PART: [&str; 6] = ["node_modules", "__pycache__", ".aws-sam", ".git", "dist", ".pytest_cache"];

/// A starter as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Starter {
    pub name: String,
    /// The first heading of its README, or its name.
    pub title: String,
}

pub(crate) struct StarterFile {
    path: RepoPath,
    bytes: Bytes,
    executable: bool,
}

/// Lists starters.
#[derive(Clone)]
pub struct Starters {
    core: Arc<Core>,
}

impl Starters {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The starters by name. Everyone who is signed in may see them.
    pub async fn list(&self, _caller: &Caller) -> Result<Vec<Starter>> {
        match &self.core.starters {
            StarterSource::Folder(root) => {
                let root = root.clone();
                blocking(move || folder_list(&root)).await
            }
            StarterSource::Blobs => blob_list(&self.core).await,
        }
    }
}

/// The files of one starter; `Error::Invalid` when there is none of this name.
pub(crate) async fn files(core: &Core, name: &str) -> Result<Vec<StarterFile>> {
    let fits = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let unknown = || Error::invalid("starter", "There is no starter of this name.");
    if !fits {
        return Err(unknown());
    }
    match &core.starters {
        StarterSource::Folder(root) => {
            let folder = root.join(name);
            blocking(move || {
                if !folder.is_dir() {
                    return Err(unknown());
                }
                let mut files = Vec::new();
                walk(&folder, "", 0, &mut files)?;
                Ok(files)
            })
            .await
        }
        StarterSource::Blobs => {
            let files = blob_files(core, name).await?;
            if files.is_empty() { Err(unknown()) } else { Ok(files) }
        }
    }
}

/// Commits the starter's files to the default branch of a project that nobody can see yet.
pub(crate) async fn first_commit(
    core: &Core,
    caller: &Caller,
    project: &ProjectRecord,
    files: Vec<StarterFile>,
) -> Result<()> {
    let author = signature(core, caller);
    let changes = files.into_iter().map(|file| FileChange::Put {
        path: file.path,
        bytes: file.bytes,
        mode: Some(if file.executable { FileMode::Executable } else { FileMode::Plain }),
    });
    let request = CommitFiles {
        branch: project.default_branch.clone(),
        expected_head: None,
        author: author.clone(),
        committer: author,
        message: "Start the project\n".into(),
        changes: changes.collect(),
        amend: false,
        push_id: core.ulid(),
    };
    let repository = crate::projects::repository(&project.id)?;
    let made = core.git.commit_files(&repository, request, &NotYet).await;
    made.map(drop).map_err(|e| Error::git(e, "project", "starter"))
}

/// The caller as the author of a commit, now.
pub(crate) fn signature(core: &Core, caller: &Caller) -> Signature {
    Signature {
        name: caller.principal.name.to_string(),
        email: caller.principal.email.to_string(),
        at: core.ports.clock.now(),
        offset_minutes: 0,
    }
}

/// The policy of a repository whose project does not exist yet: the project's own event tells of its first commit.
struct NotYet;

#[async_trait::async_trait]
impl RefPolicy for NotYet {
    async fn check(&self, _: &RefChange) -> Result<(), String> {
        Ok(())
    }

    async fn along(&self, _: &[RefChange]) -> Result<Vec<cloud::Write>, cloud::Error> {
        Ok(Vec::new())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::internal("reading a starter", e))?
}

fn folder_list(root: &Path) -> Result<Vec<Starter>> {
    let failed = |e| Error::internal(format!("reading the starters in `{}`", root.display()), e);
    let mut starters = Vec::new();
    for entry in std::fs::read_dir(root).map_err(failed)?.take(STARTERS_MAX) {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            let readme = std::fs::read_to_string(entry.path().join("README.md")).unwrap_or_default();
            starters.push(Starter { title: title(&readme, &name), name });
        }
    }
    starters.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(starters)
}

fn title(readme: &str, name: &str) -> String {
    let heading = readme.lines().find_map(|line| line.strip_prefix("# "));
    heading.map_or(name, str::trim).chars().take(100).collect()
}

fn walk(folder: &Path, below: &str, depth: usize, files: &mut Vec<StarterFile>) -> Result<()> {
    let failed = |e: std::io::Error| Error::internal(format!("reading the starter in `{}`", folder.display()), e);
    let mut entries = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(failed)?;
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if NOT_PART.contains(&name.as_str()) {
            continue;
        }
        if kind.is_dir() && depth < DEPTH_MAX {
            walk(&entry.path(), &path, depth + 1, files)?;
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).map_err(failed)?;
            add(files, &path, bytes.into(), is_executable(&entry.metadata().map_err(failed)?))?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(meta: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

fn add(files: &mut Vec<StarterFile>, path: &str, bytes: Bytes, executable: bool) -> Result<()> {
    let total: usize = files.iter().map(|file| file.bytes.len()).sum();
    if files.len() >= FILES_MAX || total + bytes.len() > BYTES_MAX {
        return Err(Error::TooLarge("The starter has too many files.".into()));
    }
    let path = RepoPath::parse(path).map_err(|e| Error::internal(format!("the starter's file `{path}`"), e))?;
    files.push(StarterFile { path, bytes, executable });
    Ok(())
}

async fn blob_list(core: &Core) -> Result<Vec<Starter>> {
    let mut starters: Vec<Starter> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = core.ports.blobs.list("starters/", after.as_deref(), 1000).await?;
        for blob in &page.blobs {
            let rest = blob.key.as_str().trim_start_matches("starters/");
            let Some((name, _)) = rest.split_once('/') else { continue };
            if starters.last().is_none_or(|last| last.name != name) && starters.len() < STARTERS_MAX {
                starters.push(Starter { name: name.into(), title: blob_title(core, name).await? });
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(starters),
        }
    }
}

async fn blob_title(core: &Core, name: &str) -> Result<String> {
    match core.ports.blobs.get(&BlobKey::parse(format!("starters/{name}/README.md"))?, None).await {
        Ok(blob) => Ok(title(&String::from_utf8_lossy(&cloud::collect(blob, BYTES_MAX).await?), name)),
        Err(error) if error.is_not_found() => Ok(name.into()),
        Err(error) => Err(error.into()),
    }
}

async fn blob_files(core: &Core, name: &str) -> Result<Vec<StarterFile>> {
    let prefix = format!("starters/{name}/");
    let page = core.ports.blobs.list(&prefix, None, 1000).await?;
    let mut files = Vec::with_capacity(page.blobs.len());
    for meta in page.blobs {
        let bytes = cloud::collect(core.ports.blobs.get(&meta.key, None).await?, BYTES_MAX).await?;
        let executable = bytes.starts_with(b"#!");
        add(&mut files, &meta.key.as_str()[prefix.len()..], bytes, executable)?;
    }
    Ok(files)
}
