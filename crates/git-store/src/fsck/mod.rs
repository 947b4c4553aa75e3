//! The rules of `git fsck --strict` on what is pushed (git-fsck, "fsck messages").

mod commit;
mod config;
mod dotfiles;
mod tree;

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use dotfiles::{check_attributes, check_modules};
pub(crate) use tree::{SUBMODULE, TreeItem, items, order};

use crate::pack::Kind;
use crate::{Error, Oid, Result};

/// `.gitmodules` and `.gitattributes` that are checked (bytes).
pub(crate) const DOTFILE_BYTES_MAX: usize = 8 << 20;

/// Objects that are named, by the first bits of their ids, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// What the objects of one pack name, and what is to be read once all are there. Threads share it.
#[derive(Default)]
pub(crate) struct Checker {
    /// Each object named, and what it must be.
    links: [Mutex<HashMap<Oid, Kind>>; SHARDS],
    modules: Mutex<HashSet<Oid>>,
    attributes: Mutex<HashSet<Oid>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why an object is refused: a message id of git-fsck, and what it means.
pub(crate) struct Fault(pub &'static str, pub &'static str);

impl Checker {
    /// Checks a commit, tree or tag (blobs are checked by name, later).
    pub(crate) fn object(&self, kind: Kind, oid: &Oid, bytes: &[u8]) -> Result<()> {
        let checked = match kind {
            Kind::Blob => Ok(()),
            Kind::Tree => tree::check(bytes, self),
            Kind::Commit => commit::check_commit(bytes, self),
            Kind::Tag => commit::check_tag(bytes, self),
        };
        checked.map_err(|Fault(id, text)| Error::Unpack(format!("object {oid}: {id}: {text}")))
    }

    fn link(&self, oid: Oid, kind: Kind) -> Result<(), Fault> {
        let shard = &self.links[usize::from(oid.as_bytes()[0]) % SHARDS];
        match locked(shard).insert(oid, kind) {
            Some(other) if other != kind => Err(Fault("badType", "an object is named as two different types")),
            _ => Ok(()),
        }
    }

    /// Calls `each` for every object that is named, with what it must be.
    pub(crate) fn each_link(&self, mut each: impl FnMut(&Oid, Kind) -> Result<()>) -> Result<()> {
        self.links.iter().try_for_each(|shard| locked(shard).iter().try_for_each(|(oid, kind)| each(oid, *kind)))
    }

    /// Blobs that are a `.gitmodules` somewhere.
    pub(crate) fn modules(&self) -> Vec<Oid> {
        locked(&self.modules).iter().copied().collect()
    }

    /// Blobs that are a `.gitattributes` somewhere.
    pub(crate) fn attributes(&self) -> Vec<Oid> {
        locked(&self.attributes).iter().copied().collect()
    }
}
