//! The one record of a repository.

use std::collections::{BTreeMap, VecDeque};

use cloud::{BlobKey, Millis, RecordKey, Sha256Digest, Version};
use serde::{Deserialize, Serialize};

use crate::store::GitStore;
use crate::{BranchName, Error, Oid, Ref, RefName, RepositoryId, Result};

/// JSON kept in the record itself (bytes); more goes into a blob. A record has at most 400 KiB.
const INLINE_MAX: usize = 200 * 1024;
/// The stored contents as a blob (bytes).
const CONTENTS_MAX: usize = 256 << 20;
/// Pushes remembered, to settle an outcome that was lost.
const PUSHES_MAX: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRef {
    pub oid: Oid,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peeled: Option<Oid>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredPack {
    /// SHA-256 of the pack: its name.
    pub id: Sha256Digest,
    /// Makes the names of its blobs new with each upload, so that none is deleted under a later one.
    pub upload: String,
    /// SHA-256 of its index.
    pub index: Sha256Digest,
    pub objects: u64,
    pub bytes: u64,
    pub index_bytes: u64,
}

/// A pack that was replaced: its blobs stay until no read can still want them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retired {
    pub pack: StoredPack,
    pub at: Millis,
}

/// A blob of the repository that is made from its packs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredBlob {
    /// Below the repository's prefix.
    pub name: String,
    pub digest: Sha256Digest,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredBitmaps {
    pub blob: StoredBlob,
    /// The packs whose entries they number, in order.
    pub packs: Vec<Sha256Digest>,
    pub objects: u64,
}

/// A blob with the time at which it was made, or was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dated {
    pub blob: StoredBlob,
    pub at: Millis,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub refs: BTreeMap<RefName, StoredRef>,
    pub packs: Vec<StoredPack>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitmaps: Option<StoredBitmaps>,
    /// A clone of all branches and tags as one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Dated>,
    /// Objects that no ref led to at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Dated>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired_blobs: Vec<Dated>,
}

impl Contents {
    /// The live packs, those that the bitmaps number first, and the bitmaps if all their packs are live.
    pub(crate) fn numbered(&self) -> (Vec<StoredPack>, Option<&StoredBitmaps>) {
        let find = |id: &Sha256Digest| self.packs.iter().find(|pack| pack.id == *id).cloned();
        let Some(bitmaps) = &self.bitmaps else { return (self.packs.clone(), None) };
        let Some(mut order) = bitmaps.packs.iter().map(find).collect::<Option<Vec<_>>>() else {
            return (self.packs.clone(), None);
        };
        order.extend(self.packs.iter().filter(|pack| !bitmaps.packs.contains(&pack.id)).cloned());
        (order, Some(bitmaps))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SettledPush {
    pub id: String,
    /// Where the first ref of the push pointed afterwards.
    pub oid: Option<Oid>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredContents {
    Inline(Box<Contents>),
    Blob { key: BlobKey, digest: Sha256Digest },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RepositoryRecord {
    version: u32,
    generation: u64,
    epoch: u64,
    head: BranchName,
    contents: StoredContents,
    pushes: VecDeque<SettledPush>,
    /// A compaction would be worth its while; here, so that nobody needs the contents to know.
    #[serde(default)]
    compaction_due: bool,
}

/// A repository as it was at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub generation: u64,
    pub epoch: u64,
    pub head: BranchName,
    pub contents: Contents,
    pub pushes: VecDeque<SettledPush>,
    pub version: Option<Version>,
}

impl Snapshot {
    pub(crate) fn empty(head: BranchName) -> Self {
        let (contents, pushes) = (Contents::default(), VecDeque::new());
        Self { generation: 0, epoch: 0, head, contents, pushes, version: None }
    }

    pub(crate) fn oid_of(&self, name: &RefName) -> Option<Oid> {
        self.contents.refs.get(name).map(|stored| stored.oid)
    }

    pub(crate) fn visible(&self) -> Vec<Ref> {
        let shown = self.contents.refs.iter().filter(|(name, _)| !name.is_hidden());
        shown.map(|(name, r)| Ref { name: name.clone(), oid: r.oid, peeled: r.peeled }).collect()
    }

    pub(crate) fn remember(&mut self, push: SettledPush) {
        self.pushes.push_back(push);
        while self.pushes.len() > PUSHES_MAX {
            self.pushes.pop_front();
        }
    }
}

pub(crate) fn record_key(repository: &RepositoryId) -> RecordKey {
    RecordKey::new(format!("git#{repository}"), "repository")
}

/// All blobs of a repository start with this.
pub(crate) fn blob_prefix(repository: &RepositoryId) -> String {
    format!("git/{repository}/")
}

/// The blob of a pack (`pack`) or of its index (`idx`).
pub(crate) fn pack_key(repository: &RepositoryId, pack: &StoredPack, extension: &str) -> Result<BlobKey> {
    blob_key(repository, &format!("packs/{}-{}.{extension}", pack.id, pack.upload))
}

pub(crate) fn blob_key(repository: &RepositoryId, name: &str) -> Result<BlobKey> {
    Ok(BlobKey::parse(format!("{}{name}", blob_prefix(repository)))?)
}

fn damaged(repository: &RepositoryId) -> Error {
    Error::Corrupt(format!("the record of repository `{repository}`"))
}

impl GitStore {
    /// Reads the record; strongly consistent.
    pub(crate) async fn snapshot(&self, repository: &RepositoryId) -> Result<Snapshot> {
        let (stored, version) = self.stored(repository).await?;
        let contents = match stored.contents {
            StoredContents::Inline(contents) => *contents,
            StoredContents::Blob { key, digest } => {
                let raw = cloud::collect(self.settings().blobs.get(&key, None).await?, CONTENTS_MAX).await?;
                if Sha256Digest::of(&raw) != digest {
                    return Err(cloud::Error::Corrupt(key.to_string()).into());
                }
                serde_json::from_slice(&raw).map_err(|_| damaged(repository))?
            }
        };
        Ok(Snapshot {
            generation: stored.generation,
            epoch: stored.epoch,
            head: stored.head,
            contents,
            pushes: stored.pushes,
            version: Some(version),
        })
    }

    async fn stored(&self, repository: &RepositoryId) -> Result<(RepositoryRecord, Version)> {
        let found = self.settings().records.get(&record_key(repository)).await?;
        let record = found.ok_or_else(|| Error::NotFound(format!("repository `{repository}`")))?;
        Ok((serde_json::from_value(record.value).map_err(|_| damaged(repository))?, record.version))
    }

    /// Whether a compaction would be worth its while. Reads the record alone.
    pub async fn wants_compaction(&self, repository: &RepositoryId) -> Result<bool> {
        Ok(self.stored(repository).await?.0.compaction_due)
    }

    /// The blob that holds the contents, when the record itself does not.
    pub(crate) async fn contents_key(&self, repository: &RepositoryId) -> Result<Option<BlobKey>> {
        Ok(match self.stored(repository).await?.0.contents {
            StoredContents::Inline(_) => None,
            StoredContents::Blob { key, .. } => Some(key),
        })
    }

    /// The value of the record; contents that are large are stored as a blob first.
    pub(crate) async fn record_value(&self, id: &RepositoryId, snapshot: &Snapshot) -> Result<serde_json::Value> {
        let raw = serde_json::to_vec(&snapshot.contents).map_err(|_| damaged(id))?;
        let contents = if raw.len() <= INLINE_MAX {
            StoredContents::Inline(Box::new(snapshot.contents.clone()))
        } else {
            let digest = Sha256Digest::of(&raw);
            let key = blob_key(id, &format!("contents/{digest}-{}.json", self.new_push_id()))?;
            self.put_blob(&key, raw.into(), digest).await?;
            StoredContents::Blob { key, digest }
        };
        let record = RepositoryRecord {
            version: 1,
            generation: snapshot.generation,
            epoch: snapshot.epoch,
            head: snapshot.head.clone(),
            contents,
            pushes: snapshot.pushes.clone(),
            compaction_due: crate::compact::is_due(&snapshot.contents),
        };
        serde_json::to_value(record).map_err(|_| damaged(id))
    }

    /// Stores an immutable blob that is named by its content: there already is as good as stored.
    pub(crate) async fn put_blob(&self, key: &BlobKey, body: bytes::Bytes, sha256: Sha256Digest) -> Result<()> {
        let options = immutable(body.len() as u64, sha256);
        match self.settings().blobs.put(key, body, options).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_condition_failed() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn immutable(length: u64, sha256: Sha256Digest) -> cloud::PutOptions {
    cloud::PutOptions {
        condition: cloud::PutCondition::IfAbsent,
        content_type: Some("application/octet-stream".into()),
        length: Some(length),
        sha256: Some(sha256),
        ..cloud::PutOptions::default()
    }
}
