//! Pointers of Git LFS in a checkout become the files that they stand for, as stock git does it ("smudge").

use std::path::{Path, PathBuf};

use cloud::Sha256Digest;
use domain::{LfsPointer, POINTER_BYTES_MAX};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::building::platform;
use crate::worker::{Run, Stop};

/// Pointers of one checkout.
const POINTERS_MAX: usize = 10_000;
/// Bytes of all objects of one checkout: beside the checkout itself they fit on a worker's disk of 10 GB.
const OBJECTS_BYTES_MAX: u64 = 4 << 30;
/// Files whose objects are not here that the log names.
const ABSENT_NAMED_MAX: usize = 20;

struct Found {
    path: PathBuf,
    pointer: LfsPointer,
}

/// Writes the object of each pointer below `root` in its place. A pointer whose object is not stored in the project
/// stays, and the log says so.
pub(crate) async fn smudge(run: &Run<'_>, root: &Path) -> Result<(), Stop> {
    let folder = root.to_owned();
    let found = tokio::task::spawn_blocking(move || pointers(&folder));
    let found = found.await.map_err(|error| platform(std::io::Error::other(error)))?.map_err(platform)?;
    if found.is_empty() {
        return Ok(());
    }
    let bytes = found.iter().fold(0_u64, |sum, found| sum.saturating_add(found.pointer.size));
    if found.len() > POINTERS_MAX || bytes > OBJECTS_BYTES_MAX {
        return Err(Stop::failed(format!(
            "the commit has {} files in Git LFS of {bytes} bytes; a build takes {POINTERS_MAX} files and \
             {OBJECTS_BYTES_MAX} bytes at most",
            found.len()
        )));
    }
    let mut absent = Vec::new();
    for one in &found {
        match run.worker.domain.lfs.open(&run.lease.project, &one.pointer.oid).await? {
            Some((size, body)) if size == one.pointer.size => write(&one.path, &one.pointer, body).await?,
            _ => absent.push(one.path.strip_prefix(root).unwrap_or(&one.path).display().to_string()),
        }
    }
    run.say(format!("{} of {} files in Git LFS are here", found.len() - absent.len(), found.len())).await;
    for path in absent.iter().take(ABSENT_NAMED_MAX) {
        run.say(format!("`{path}` stays a pointer: its object is not stored here; push it with git lfs push --all"))
            .await;
    }
    Ok(())
}

/// Every pointer file below a folder. Links are not followed.
fn pointers(root: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && entry.metadata()?.len() < POINTER_BYTES_MAX as u64
                && let Some(pointer) = LfsPointer::parse(&std::fs::read(entry.path())?)
            {
                found.push(Found { path: entry.path(), pointer });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The file keeps its mode. What is stored was checked on its way in, and is checked again.
async fn write(path: &Path, pointer: &LfsPointer, mut body: cloud::BlobStream) -> Result<(), Stop> {
    let mut file = tokio::fs::OpenOptions::new().write(true).truncate(true).open(path).await.map_err(platform)?;
    let mut hash = Sha256::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(platform)?;
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(platform)?;
    }
    file.flush().await.map_err(platform)?;
    match Sha256Digest(hash.finalize().into()) == pointer.oid {
        true => Ok(()),
        false => Err(Stop::Platform(cloud::Error::Corrupt(format!("the object {}", pointer.oid)).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_found_in_folders_and_behind_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let oid = "0".repeat(64);
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 7\n");
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        std::fs::write(folder.path().join("a/b/film.bin"), &text).unwrap();
        std::fs::write(folder.path().join("plain.txt"), "version 1\n").unwrap();
        std::fs::write(outside.path().join("film.bin"), &text).unwrap();
        std::os::unix::fs::symlink(outside.path().join("film.bin"), folder.path().join("link.bin")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("folder")).unwrap();
        let found = pointers(folder.path()).unwrap();
        let paths: Vec<_> = found.iter().map(|found| found.path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(paths, [Path::new("a/b/film.bin")]);
        assert_eq!(found[0].pointer.size, 7);
    }
}
