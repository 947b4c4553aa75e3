//! Git LFS: large files of a repository that go up and come down by presigned URLs, and locks on paths.
//!
//! An object is named by its SHA-256 (its oid). Its bytes are stored under a key of one upload, and the record of the
//! object names that key once the bytes have arrived: what is waiting is never read, what is stored never changes.

mod collecting;
mod locks;
mod objects;
mod pointer;
mod waiting;

use std::sync::Arc;

use cloud::{BlobKey, Expect, Millis, Sha256Digest};
use identity::ProjectId;
use serde::{Deserialize, Serialize};

use crate::core::{Core, Stored};
use crate::{Error, Result, keys};

pub(crate) use collecting::Collected;
pub use locks::{Lock, LockAttempt, LockFilter};
pub use objects::{BATCH_OBJECTS_MAX, BatchObject, LfsObject, ObjectRefusal, TRANSFER_LIFE, WantedObject};
pub use pointer::{LfsPointer, POINTER_BYTES_MAX};

/// How often a transaction is tried again when another change of the project's LFS records came first.
const ATTEMPTS_MAX: usize = 20;

/// An object that is stored, or that is waited for.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ObjectRecord {
    v: u32,
    oid: Sha256Digest,
    size: u64,
    /// The last part of the key of its bytes.
    upload: String,
    created: Millis,
    created_by: String,
    /// Only of one that is waited for: then it is given up.
    expires: Option<Millis>,
    /// Only of one that is stored: since when no file of the repository is known to point at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unnamed: Option<Millis>,
}

impl ObjectRecord {
    /// Each upload has a key of its own, so that what is given up is never what another has stored.
    fn blob_key(&self, project: &ProjectId) -> Result<BlobKey> {
        Ok(BlobKey::parse(format!("projects/{project}/lfs/{}/{}", self.oid, self.upload))?)
    }
}

/// What a project's LFS records come to; moved with every change, so that limits hold under concurrency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Usage {
    /// Bytes of objects, stored and waited for.
    bytes: u64,
    objects: u64,
    locks: u64,
}

impl Usage {
    fn release(&mut self, record: &ObjectRecord) {
        self.bytes = self.bytes.saturating_sub(record.size);
        self.objects = self.objects.saturating_sub(1);
    }
}

/// Objects and locks of Git LFS.
#[derive(Clone)]
pub struct Lfs {
    core: Arc<Core>,
}

impl Lfs {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    async fn usage(&self, project: &ProjectId) -> Result<(Usage, Expect)> {
        let stored: Option<Stored<Usage>> = self.core.read(&keys::lfs_usage(project)).await?;
        Ok(stored.map_or((Usage::default(), Expect::Absent), |s| (s.value, Expect::At(s.version))))
    }
}

/// An oid as clients write it: 64 lower-case hex digits.
fn parse_oid(raw: &str) -> Option<Sha256Digest> {
    let plain = raw.len() == 64 && raw.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    Sha256Digest::parse_hex(raw).ok().filter(|_| plain)
}

fn busy() -> Error {
    Error::Unavailable("Git LFS")
}
