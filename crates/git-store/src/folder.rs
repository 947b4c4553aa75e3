//! A tree that is being changed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::fsck::order;
use crate::pack::Kind;
use crate::path::text_of;
use crate::scratch::{FOLDER_MODE, Leaf, Scratch};
use crate::{Error, Oid, Result};

/// A folder that is being changed. Folders within it are read when something in them changes.
#[derive(Default)]
pub(crate) struct Folder {
    pub entries: BTreeMap<Vec<u8>, Node>,
}

pub(crate) enum Node {
    /// A file, symlink or submodule, or a folder that was not looked into.
    Stored(Leaf),
    Open(Folder),
}

impl Node {
    /// A folder that earlier changes have emptied: git holds none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Open(folder) if folder.entries.values().all(Self::is_empty))
    }
}

/// The names of the folders of a path, and its last name.
pub(crate) fn split(path: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

impl Folder {
    pub(crate) fn read(scratch: &Scratch<'_>, tree: &Oid) -> Result<Self> {
        let items = scratch.items(tree)?;
        Ok(Self { entries: items.into_iter().map(|(name, leaf)| (name, Node::Stored(leaf))).collect() })
    }

    /// The folder at `path`, opened; made when `make` says so.
    pub(crate) fn open(&mut self, scratch: &Scratch<'_>, path: &[&[u8]], make: bool) -> Result<Option<&mut Self>> {
        let mut at = self;
        for (depth, part) in path.iter().enumerate() {
            if !at.entries.contains_key(*part) {
                if !make {
                    return Ok(None);
                }
                at.entries.insert(part.to_vec(), Node::Open(Self::default()));
            }
            let Some(node) = at.entries.get_mut(*part) else { return Ok(None) };
            if let Node::Stored(leaf) = node {
                if !leaf.is_folder() {
                    let place: Cow<'_, str> = text_of(&path[..=depth].join(&b'/')).into();
                    return Err(Error::Conflict(format!("`{place}` is not a folder")));
                }
                *node = Node::Open(Self::read(scratch, &leaf.oid)?);
            }
            let Node::Open(folder) = node else { return Ok(None) };
            at = folder;
        }
        Ok(Some(at))
    }

    /// Puts `leaf` at `path`, or removes what is there.
    pub(crate) fn set(&mut self, scratch: &Scratch<'_>, path: &[u8], leaf: Option<Leaf>) -> Result<()> {
        let (parents, name) = split(path);
        let Some(folder) = self.open(scratch, &parents, leaf.is_some())? else { return Ok(()) };
        match leaf {
            Some(leaf) => folder.entries.insert(name.to_vec(), Node::Stored(leaf)),
            None => folder.entries.remove(name),
        };
        Ok(())
    }

    /// Makes the trees; `None` for a folder with nothing in it, which git cannot hold.
    pub(crate) fn write(self, scratch: &mut Scratch<'_>) -> Result<Option<Oid>> {
        let mut items: Vec<(Vec<u8>, Leaf)> = Vec::new();
        for (name, node) in self.entries {
            match node {
                Node::Stored(leaf) => items.push((name, leaf)),
                Node::Open(folder) => {
                    if let Some(oid) = folder.write(scratch)? {
                        items.push((name, Leaf { mode: FOLDER_MODE, oid }));
                    }
                }
            }
        }
        if items.is_empty() {
            return Ok(None);
        }
        items.sort_by(|a, b| order((&a.0, a.1.is_folder()), (&b.0, b.1.is_folder())));
        let mut raw = Vec::new();
        for (name, Leaf { mode, oid }) in items {
            raw.extend_from_slice(format!("{mode:o} ").as_bytes());
            raw.extend_from_slice(&name);
            raw.push(0);
            raw.extend_from_slice(oid.as_bytes());
        }
        Ok(Some(scratch.add(Kind::Tree, raw)))
    }

    /// As `write`, of a root, which may be empty.
    pub(crate) fn write_root(self, scratch: &mut Scratch<'_>) -> Result<Oid> {
        match self.write(scratch)? {
            Some(tree) => Ok(tree),
            None => Ok(scratch.add(Kind::Tree, &b""[..])),
        }
    }
}
