//! Blobs that no record names: what a crash left between the data and the pointer.

use std::collections::HashSet;
use std::time::Duration;

use cloud::BlobKey;

use crate::record::{Contents, blob_key, blob_prefix, pack_key};
use crate::store::GitStore;
use crate::{RepositoryId, Result};

/// A blob without a name in the record may belong to a push that is under way for this long.
const UNDER_WAY: Duration = Duration::from_secs(24 * 3600);
const PAGE: usize = 1000;

impl GitStore {
    /// Deletes blobs that nothing names and no push can be about to name.
    pub(super) async fn sweep(&self, id: &RepositoryId) -> Result<()> {
        let before = self.contents_key(id).await?;
        let mut orphans = Vec::new();
        let mut after = None;
        let now = self.settings().clock.now();
        loop {
            let page = self.settings().blobs.list(&blob_prefix(id), after.as_deref(), PAGE).await?;
            orphans.extend(page.blobs.into_iter().filter(|blob| now.since(blob.modified) > UNDER_WAY).map(|b| b.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // Read after the list: what was named in between is in here.
        let snapshot = self.snapshot(id).await?;
        let mut named = names(id, &snapshot.contents)?;
        named.extend(before.into_iter().chain(self.contents_key(id).await?));
        for key in orphans.iter().filter(|key| !named.contains(*key) && is_ours(id, key)) {
            self.settings().blobs.delete(key).await?;
        }
        Ok(())
    }
}

/// Only folders whose blobs the record names one by one.
fn is_ours(id: &RepositoryId, key: &BlobKey) -> bool {
    let Some(name) = key.as_str().strip_prefix(&blob_prefix(id)) else { return false };
    ["packs/", "bitmaps/", "bundles/", "unreachable/", "contents/"].iter().any(|folder| name.starts_with(folder))
}

fn names(id: &RepositoryId, contents: &Contents) -> Result<HashSet<BlobKey>> {
    let mut named = HashSet::new();
    for pack in contents.packs.iter().chain(contents.retired.iter().map(|retired| &retired.pack)) {
        named.insert(pack_key(id, pack, "pack")?);
        named.insert(pack_key(id, pack, "idx")?);
    }
    let bitmaps = contents.bitmaps.iter().map(|bitmaps| &bitmaps.blob);
    let dated = contents.bundle.iter().chain(&contents.unreachable).chain(&contents.retired_blobs);
    for blob in bitmaps.chain(dated.map(|dated| &dated.blob)) {
        named.insert(blob_key(id, &blob.name)?);
    }
    Ok(named)
}
