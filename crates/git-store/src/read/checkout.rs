//! The files of a commit, as files.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::tree::kind_of;
use crate::objects::Objects;
use crate::pack::Kind;
use crate::path::{PATH_DEPTH_MAX, is_git_dir};
use crate::{EntryKind, Error, Oid, Result};

/// Files and folders of one checkout.
const ENTRIES_MAX: u64 = 200_000;
/// Bytes of one checkout.
const BYTES_MAX: u64 = 2 << 30;

/// What a tree comes to when all of it is written out.
#[derive(Clone, Copy, Default)]
struct Size {
    entries: u64,
    bytes: u64,
}

/// Adds up trees, each once however often it is named: a small pack can unfold into 16^10 paths.
struct Measure<'a> {
    objects: &'a Objects,
    known: HashMap<Oid, Size>,
}

impl Measure<'_> {
    /// Depth first, no deeper than `PATH_DEPTH_MAX`.
    fn tree(&mut self, tree: &Oid, depth: usize) -> Result<Size> {
        if let Some(size) = self.known.get(tree) {
            return Ok(*size);
        }
        if depth > PATH_DEPTH_MAX {
            return Err(Error::TooLarge(format!("folders are nested deeper than {PATH_DEPTH_MAX}")));
        }
        let mut below = Vec::new();
        self.objects.each_item(tree, |item| {
            below.push((kind_of(&item), item.oid));
            Ok(())
        })?;
        let mut total = Size { entries: below.len() as u64, bytes: 0 };
        for (kind, oid) in below {
            let size = match kind {
                EntryKind::Folder => self.tree(&oid, depth + 1)?,
                EntryKind::File | EntryKind::Symlink => {
                    Size { entries: 0, bytes: self.objects.header(&oid)?.map_or(0, |(_, bytes)| bytes) }
                }
                EntryKind::Submodule => Size::default(),
            };
            total.entries = total.entries.saturating_add(size.entries);
            total.bytes = total.bytes.saturating_add(size.bytes);
        }
        self.known.insert(*tree, total);
        Ok(total)
    }
}

struct Checkout<'a> {
    objects: &'a Objects,
    /// Made last, so that nothing is ever written through one.
    links: Vec<(PathBuf, Oid)>,
}

/// `Error::TooLarge` for a tree that is too much to be written out.
pub(super) fn refuse_too_large(objects: &Objects, tree: &Oid) -> Result<()> {
    let size = Measure { objects, known: HashMap::new() }.tree(tree, 0)?;
    if size.entries > ENTRIES_MAX {
        return Err(Error::TooLarge(format!("there are more than {ENTRIES_MAX} files")));
    }
    if size.bytes > BYTES_MAX {
        return Err(Error::TooLarge(format!("there are more than {BYTES_MAX} bytes")));
    }
    Ok(())
}

/// Writes the tree of `commit` into `into`, which must be empty or absent.
pub(crate) fn checkout(objects: &Objects, commit: Oid, into: &Path) -> Result<()> {
    let io = Error::io("checking out");
    std::fs::create_dir_all(into).map_err(io)?;
    if std::fs::read_dir(into).map_err(Error::io("checking out"))?.next().is_some() {
        return Err(Error::Invalid("the folder to check out into is not empty".into()));
    }
    let root = objects.commit_links(&commit)?.tree;
    refuse_too_large(objects, &root)?;
    let mut checkout = Checkout { objects, links: Vec::new() };
    let mut folders = vec![(into.to_owned(), root)];
    while let Some((folder, tree)) = folders.pop() {
        folders.extend(checkout.folder(&folder, &tree)?);
    }
    for (path, oid) in std::mem::take(&mut checkout.links) {
        let text = objects.read_as(&oid, Kind::Blob)?;
        symlink(OsStr::from_bytes(&text), path).map_err(Error::io("making a symlink"))?;
    }
    Ok(())
}

impl Checkout<'_> {
    /// Writes what is in one folder; the answer is the folders in it.
    fn folder(&mut self, folder: &Path, tree: &Oid) -> Result<Vec<(PathBuf, Oid)>> {
        let mut items = Vec::new();
        self.objects.each_item(tree, |item| {
            // Trees are checked when they arrive; a name that could lead elsewhere is never written all the same.
            let odd = item.name.is_empty() || item.name.contains(&b'/') || matches!(item.name, b"." | b"..");
            if odd || is_git_dir(item.name) {
                return Err(Error::Corrupt(format!("tree {tree}")));
            }
            items.push((folder.join(OsStr::from_bytes(item.name)), kind_of(&item), item.mode, item.oid));
            Ok(())
        })?;
        let mut folders = Vec::new();
        for (path, kind, mode, oid) in items {
            match kind {
                EntryKind::File => self.file(&path, mode, &oid)?,
                EntryKind::Symlink => self.links.push((path, oid)),
                EntryKind::Folder | EntryKind::Submodule => {
                    DirBuilder::new().mode(0o755).create(&path).map_err(Error::io("making a folder"))?;
                    if kind == EntryKind::Folder {
                        folders.push((path, oid));
                    }
                }
            }
        }
        Ok(folders)
    }

    fn file(&self, path: &Path, mode: u32, oid: &Oid) -> Result<()> {
        let bytes = self.objects.read_as(oid, Kind::Blob)?;
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        let mut file: File = file.map_err(Error::io("writing a file"))?;
        file.write_all(&bytes).map_err(Error::io("writing a file"))
    }
}
