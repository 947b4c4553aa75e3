//! What lies on the way to a path in a commit: commits next to each other share most of it.

use crate::scratch::{FOLDER_MODE, Leaf, Scratch};
use crate::{Oid, Result};

/// The entries from the root to the path; what is not there is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail(Vec<Option<Leaf>>);

impl Trail {
    /// What is at the path.
    pub(crate) fn end(&self) -> Option<Leaf> {
        self.0.last().copied().flatten()
    }

    /// The trail in the tree `root`. Where it meets the same folder as `near`, it goes on as `near` does.
    pub(crate) fn of(scratch: &Scratch<'_>, root: Oid, names: &[Vec<u8>], near: Option<&Self>) -> Result<Self> {
        let mut at = Some(Leaf { mode: FOLDER_MODE, oid: root });
        let mut all = vec![at];
        for (depth, name) in names.iter().enumerate() {
            if let Some(near) = near.filter(|near| near.0.len() == names.len() + 1 && near.0.get(depth) == Some(&at)) {
                all.extend_from_slice(&near.0[depth + 1..]);
                return Ok(Self(all));
            }
            at = match at.filter(|leaf| leaf.is_folder()) {
                None => None,
                Some(folder) => scratch.entry(&folder.oid, name)?,
            };
            all.push(at);
        }
        Ok(Self(all))
    }
}

/// A path as its names.
pub(crate) fn names_of(path: &[u8]) -> Vec<Vec<u8>> {
    if path.is_empty() {
        return Vec::new();
    }
    path.split(|b| *b == b'/').map(<[u8]>::to_vec).collect()
}
