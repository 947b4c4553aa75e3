//! The rules of `git fsck --strict` on what is pushed (git-fsck, "fsck messages").

mod commit;
mod config;
mod dotfiles;
mod tree;

use std::collections::{HashMap, HashSet};

pub(crate) use dotfiles::{check_attributes, check_modules};
pub(crate) use tree::{SUBMODULE, TreeItem, items, order};

use crate::pack::Kind;
use crate::{Error, Oid, Result};

/// `.gitmodules` and `.gitattributes` that are checked (bytes).
pub(crate) const DOTFILE_BYTES_MAX: usize = 8 << 20;

/// What the objects of one pack name, and what is to be read once all are there.
#[derive(Default)]
pub(crate) struct Checker {
    /// Each object named, and what it must be.
    pub links: HashMap<Oid, Kind>,
    pub modules: HashSet<Oid>,
    pub attributes: HashSet<Oid>,
}

/// Why an object is refused: a message id of git-fsck, and what it means.
pub(crate) struct Fault(pub &'static str, pub &'static str);

impl Checker {
    /// Checks a commit, tree or tag (blobs are checked by name, later).
    pub(crate) fn object(&mut self, kind: Kind, oid: &Oid, bytes: &[u8]) -> Result<()> {
        let checked = match kind {
            Kind::Blob => Ok(()),
            Kind::Tree => tree::check(bytes, self),
            Kind::Commit => commit::check_commit(bytes, self),
            Kind::Tag => commit::check_tag(bytes, self),
        };
        checked.map_err(|Fault(id, text)| Error::Unpack(format!("object {oid}: {id}: {text}")))
    }

    fn link(&mut self, oid: Oid, kind: Kind) -> Result<(), Fault> {
        match self.links.insert(oid, kind) {
            Some(other) if other != kind => Err(Fault("badType", "an object is named as two different types")),
            _ => Ok(()),
        }
    }
}
