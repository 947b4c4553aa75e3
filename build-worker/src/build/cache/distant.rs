//! Kept dependencies among the blobs: `cache/{project}/{key}.zip`, where every worker finds them.
//!
//! A blob is the digest of a zip and then the zip. Builds of the project alone name its prefix, so no build restores
//! what another project's build has written. On AWS a lifecycle rule of the bucket removes what is old.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cloud::{BlobKey, Blobs, PutOptions};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::super::package;
use super::super::unpack::unpack;
use super::super::{BuildError, PackageKind, check_zip};
use super::{ENTRIES_MAX, blocking, folder_of};

/// The longest entry, in bytes.
pub const ENTRY_BYTES_MAX: u64 = 200 * 1024 * 1024;
const DIGEST_BYTES: usize = 32;
/// How much of a file is read at a time (bytes).
const CHUNK: usize = 256 * 1024;

/// Where a project's entries lie.
fn prefix(project: &str) -> String {
    format!("cache/{}/", folder_of(project))
}

/// Removes everything that is kept for a project.
pub async fn forget(blobs: &Arc<dyn Blobs>, project: &str) -> cloud::Result<()> {
    while let page = blobs.list(&prefix(project), None, 1_000).await?
        && !page.blobs.is_empty()
    {
        for blob in page.blobs {
            blobs.delete(&blob.key).await?;
        }
    }
    Ok(())
}

/// The newest entries of a project.
pub async fn entries(blobs: &Arc<dyn Blobs>, project: &str) -> cloud::Result<Vec<BlobKey>> {
    let mut kept = blobs.list(&prefix(project), None, 1_000).await?.blobs;
    kept.sort_by_key(|blob| std::cmp::Reverse(blob.modified));
    Ok(kept.into_iter().take(ENTRIES_MAX).map(|blob| blob.key).collect())
}

/// The key, when it is that of an entry of the project.
pub fn entry_key(project: &str, key: &str) -> Option<BlobKey> {
    let digest = key.strip_prefix(&prefix(project))?.strip_suffix(".zip")?;
    let plain = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    plain.then(|| BlobKey::parse(key).ok()).flatten()
}

/// Removes the oldest entries of a project past what is kept.
pub async fn trim(blobs: &Arc<dyn Blobs>, project: &str) -> cloud::Result<()> {
    trim_below(blobs, &prefix(project)).await
}

async fn trim_below(blobs: &Arc<dyn Blobs>, prefix: &str) -> cloud::Result<()> {
    let mut kept = blobs.list(prefix, None, 1_000).await?.blobs;
    kept.sort_by_key(|blob| blob.modified);
    let excess = kept.len().saturating_sub(ENTRIES_MAX);
    for blob in kept.into_iter().take(excess) {
        blobs.delete(&blob.key).await?;
    }
    Ok(())
}

pub struct Distant {
    blobs: Arc<dyn Blobs>,
    prefix: String,
    key: String,
}

/// Why an entry was not fetched or stored; a build goes on without.
#[derive(Debug, thiserror::Error)]
pub enum DistantError {
    #[error(transparent)]
    Blobs(#[from] cloud::Error),
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Zip(#[from] BuildError),
}

impl Distant {
    pub fn new(blobs: Arc<dyn Blobs>, project: &str, key: &str) -> Self {
        Self { blobs, prefix: prefix(project), key: key.to_owned() }
    }

    fn blob(&self) -> Result<BlobKey, DistantError> {
        Ok(BlobKey::parse(format!("{}{}.zip", self.prefix, self.key))?)
    }

    /// The entry, unpacked in `content` of a folder; `None` when there is none that can be trusted.
    pub async fn fetch(&self) -> Result<Option<TempDir>, DistantError> {
        let key = self.blob()?;
        let blob = match self.blobs.get(&key, None).await {
            Err(cloud::Error::NotFound(_)) => return Ok(None),
            other => other?,
        };
        let folder = blocking(tempfile::tempdir).await??;
        let zip = folder.path().join("entry.zip");
        let whole = blob.meta.length <= ENTRY_BYTES_MAX && written(blob.body, &zip).await?;
        let content = folder.path().join("content");
        if whole && taken(&zip, &content).await? {
            return Ok(Some(folder));
        }
        // It would be in the way of a good one for as long as it is kept.
        tracing::warn!(%key, "kept dependencies are damaged, and dropped");
        self.blobs.delete(&key).await?;
        Ok(None)
    }

    /// Stores a copy of `from`, unless it is too large to be worth it.
    pub async fn store(&self, from: &Path) -> Result<(), DistantError> {
        let folder = blocking(tempfile::tempdir).await??;
        let package = package::pack("entry", PackageKind::Layer, from.to_owned(), folder.path()).await?;
        if package.length + DIGEST_BYTES as u64 > ENTRY_BYTES_MAX {
            return Ok(());
        }
        let digest = Bytes::copy_from_slice(&package.sha256.0);
        let file = tokio::fs::File::open(&package.file).await?;
        let body = futures::stream::once(async { Ok(digest) }).chain(ReaderStream::with_capacity(file, CHUNK)).boxed();
        let length = Some(package.length + DIGEST_BYTES as u64);
        self.blobs.put_stream(&self.blob()?, body, PutOptions { length, ..PutOptions::default() }).await?;
        Ok(trim_below(&self.blobs, &self.prefix).await?)
    }
}

/// Writes what follows the digest to `zip`; whether it is what the digest says.
async fn written(mut body: cloud::BlobStream, zip: &Path) -> Result<bool, io::Error> {
    let (mut file, mut hasher, mut expected) = (tokio::fs::File::create(zip).await?, Sha256::new(), Vec::new());
    while let Some(part) = body.next().await {
        let mut part = part?;
        let missing = DIGEST_BYTES - expected.len();
        expected.extend_from_slice(&part.split_to(missing.min(part.len())));
        hasher.update(&part);
        file.write_all(&part).await?;
    }
    file.flush().await?;
    Ok(expected[..] == hasher.finalize()[..])
}

/// Unpacks a zip that passes the checks of any zip; `false` when it does not.
async fn taken(zip: &Path, content: &Path) -> Result<bool, DistantError> {
    let (zip, content): (PathBuf, PathBuf) = (zip.to_owned(), content.to_owned());
    let done = blocking(move || match check_zip(&zip) {
        Ok(()) => unpack(&zip, &content).map(|()| true),
        Err(_) => Ok(false),
    });
    Ok(done.await??)
}

#[cfg(test)]
mod tests;
