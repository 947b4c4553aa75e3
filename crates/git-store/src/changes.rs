//! Which files two trees do not share.

use crate::path::PATH_DEPTH_MAX;
use crate::scratch::{Leaf, Scratch};
use crate::{Oid, Result};

/// Entries looked at in folders that differ: a small pack can unfold into 16^10 paths.
const ENTRIES_MAX: usize = 500_000;

/// What is at a path on one side and on the other; never folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub path: Vec<u8>,
    pub old: Option<Leaf>,
    pub new: Option<Leaf>,
}

/// Changes in order of their paths.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub list: Vec<Change>,
    /// There are more than were asked for, or than can be looked for.
    pub more: bool,
}

/// The changes between two trees, at most `most`. Folders that are the same are not looked into.
pub(crate) fn tree_changes(scratch: &Scratch<'_>, old: Option<Oid>, new: Option<Oid>, most: usize) -> Result<Changes> {
    let mut walk = Walk { scratch, most, scanned: 0, path: Vec::new(), changes: Changes::default() };
    walk.folders(old, new, 0)?;
    walk.changes.list.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(walk.changes)
}

struct Walk<'a, 'b> {
    scratch: &'a Scratch<'b>,
    most: usize,
    scanned: usize,
    path: Vec<u8>,
    changes: Changes,
}

type Items = std::iter::Peekable<std::vec::IntoIter<(Vec<u8>, Leaf)>>;

impl Walk<'_, '_> {
    fn sorted(&mut self, tree: Option<Oid>) -> Result<Items> {
        let mut items = match tree {
            Some(tree) => self.scratch.items(&tree)?,
            None => Vec::new(),
        };
        // Git sorts a folder as if its name ended in `/`; here the sides are matched by name.
        items.sort_by(|a, b| a.0.cmp(&b.0));
        self.scanned += items.len();
        Ok(items.into_iter().peekable())
    }

    fn is_over(&mut self) -> bool {
        self.changes.more |= self.changes.list.len() >= self.most || self.scanned > ENTRIES_MAX;
        self.changes.more
    }

    fn folders(&mut self, old: Option<Oid>, new: Option<Oid>, depth: usize) -> Result<()> {
        if old == new || self.is_over() {
            return Ok(());
        }
        if depth > PATH_DEPTH_MAX {
            self.changes.more = true;
            return Ok(());
        }
        let (mut olds, mut news) = (self.sorted(old)?, self.sorted(new)?);
        loop {
            let name = match (olds.peek(), news.peek()) {
                (None, None) => return Ok(()),
                (Some((a, _)), None) => a.clone(),
                (None, Some((b, _))) => b.clone(),
                (Some((a, _)), Some((b, _))) => a.min(b).clone(),
            };
            let old = olds.next_if(|(found, _)| *found == name).map(|(_, leaf)| leaf);
            let new = news.next_if(|(found, _)| *found == name).map(|(_, leaf)| leaf);
            if old == new {
                continue;
            }
            let before = self.path.len();
            if before > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&name);
            self.entry(old, new, depth)?;
            self.path.truncate(before);
        }
    }

    fn entry(&mut self, old: Option<Leaf>, new: Option<Leaf>, depth: usize) -> Result<()> {
        let leaf = |side: Option<Leaf>| side.filter(|leaf| !leaf.is_folder());
        let folder = |side: Option<Leaf>| side.filter(|leaf| leaf.is_folder()).map(|leaf| leaf.oid);
        if leaf(old).is_some() || leaf(new).is_some() {
            if self.is_over() {
                return Ok(());
            }
            self.changes.list.push(Change { path: self.path.clone(), old: leaf(old), new: leaf(new) });
        }
        self.folders(folder(old), folder(new), depth + 1)
    }
}
