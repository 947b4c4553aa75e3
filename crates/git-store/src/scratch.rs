//! Objects that are being made, over those of the repository.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::fsck::items;
use crate::objects::Objects;
use crate::pack::{Kind, PackWriter, object_id};
use crate::{Commit, Error, Oid, Result, read};

/// The mode of a folder's entry.
pub(crate) const FOLDER_MODE: u32 = 0o040_000;

/// What a name in a tree stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub mode: u32,
    pub oid: Oid,
}

impl Leaf {
    pub(crate) fn is_folder(self) -> bool {
        self.mode & 0o170_000 == FOLDER_MODE
    }

    pub(crate) fn is_file(self) -> bool {
        self.mode & 0o170_000 == 0o100_000
    }

    /// Whether both are files, both symlinks, or both submodules.
    pub(crate) fn is_like(self, other: Self) -> bool {
        self.mode & 0o170_000 == other.mode & 0o170_000
    }
}

/// Made objects live in memory until those that a commit needs are written to a pack.
pub(crate) struct Scratch<'a> {
    pub objects: &'a Objects,
    made: HashMap<Oid, (Kind, Bytes)>,
    made_bytes: u64,
}

impl<'a> Scratch<'a> {
    pub(crate) fn new(objects: &'a Objects) -> Self {
        Self { objects, made: HashMap::new(), made_bytes: 0 }
    }

    pub(crate) fn add(&mut self, kind: Kind, bytes: impl Into<Bytes>) -> Oid {
        let bytes = bytes.into();
        let oid = object_id(kind, &bytes);
        self.made_bytes += bytes.len() as u64;
        self.made.entry(oid).or_insert((kind, bytes));
        oid
    }

    /// Bytes of all objects that were made.
    pub(crate) fn made_bytes(&self) -> u64 {
        self.made_bytes
    }

    pub(crate) fn items(&self, tree: &Oid) -> Result<Vec<(Vec<u8>, Leaf)>> {
        let mut all = Vec::new();
        if let Some((_, bytes)) = self.made.get(tree) {
            for item in items(bytes) {
                let item = item.map_err(|_| Error::Corrupt(format!("tree {tree}")))?;
                all.push((item.name.to_vec(), Leaf { mode: item.mode, oid: item.oid }));
            }
            return Ok(all);
        }
        self.objects.each_item(tree, |item| {
            all.push((item.name.to_vec(), Leaf { mode: item.mode, oid: item.oid }));
            Ok(())
        })?;
        Ok(all)
    }

    /// One entry of a folder.
    pub(crate) fn entry(&self, tree: &Oid, name: &[u8]) -> Result<Option<Leaf>> {
        if self.made.contains_key(tree) {
            return Ok(self.items(tree)?.into_iter().find(|(found, _)| found == name).map(|(_, leaf)| leaf));
        }
        let mut found = None;
        self.objects.each_item(tree, |item| {
            if item.name == name {
                found = Some(Leaf { mode: item.mode, oid: item.oid });
            }
            Ok(())
        })?;
        Ok(found)
    }

    pub(crate) fn blob(&self, oid: &Oid) -> Result<Bytes> {
        match self.made.get(oid) {
            Some((_, bytes)) => Ok(bytes.clone()),
            None => self.objects.read_as(oid, Kind::Blob).map(Bytes::from),
        }
    }

    /// Bytes of an object.
    pub(crate) fn size(&self, oid: &Oid) -> Result<u64> {
        match self.made.get(oid) {
            Some((_, bytes)) => Ok(bytes.len() as u64),
            None => Ok(self.objects.header(oid)?.map_or(0, |(_, size)| size)),
        }
    }

    /// A commit that was made here.
    pub(crate) fn made_commit(&self, oid: &Oid) -> Option<Commit> {
        let (_, bytes) = self.made.get(oid).filter(|(kind, _)| *kind == Kind::Commit)?;
        read::parse_commit(*oid, bytes)
    }

    /// What is at a path of a tree.
    pub(crate) fn find(&self, root: &Oid, path: &[u8]) -> Result<Option<Leaf>> {
        let mut at = Leaf { mode: FOLDER_MODE, oid: *root };
        for name in path.split(|b| *b == b'/') {
            if !at.is_folder() {
                return Ok(None);
            }
            match self.entry(&at.oid, name)? {
                Some(leaf) => at = leaf,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Writes `root` and what it leads to, as far as it was made here.
    pub(crate) fn write(&self, root: Oid, writer: &mut PackWriter) -> Result<()> {
        let (mut stack, mut seen) = (vec![root], HashSet::from([root]));
        while let Some(oid) = stack.pop() {
            let Some((kind, bytes)) = self.made.get(&oid) else { continue };
            writer.add(*kind, bytes)?;
            let mut next = Vec::new();
            match kind {
                Kind::Tree => next.extend(self.items(&oid)?.into_iter().map(|(_, leaf)| leaf.oid)),
                Kind::Commit => next.extend(bytes.get(5..45).and_then(Oid::parse_bytes)),
                Kind::Tag => next.extend(bytes.get(7..47).and_then(Oid::parse_bytes)),
                Kind::Blob => {}
            }
            stack.extend(next.into_iter().filter(|oid| seen.insert(*oid)));
        }
        Ok(())
    }
}
