//! Every file of a commit, one after another, in git's order.

use crate::objects::Objects;
use crate::path::{PATH_DEPTH_MAX, text_of};
use crate::{EntryKind, Oid, PathsPage, RepoPath, Result};

use super::tree::kind_of;

/// Entries looked at for one answer: a small pack can unfold into 16^10 paths.
const ENTRIES_MAX: usize = 1_000_000;

/// One file, symlink or submodule.
pub(crate) struct FileEntry {
    pub mode: u32,
    pub oid: Oid,
    pub kind: EntryKind,
}

struct Item {
    name: Vec<u8>,
    mode: u32,
    oid: Oid,
    kind: EntryKind,
}

struct Level {
    items: std::vec::IntoIter<Item>,
    /// How long the path of the folder is, with its `/`.
    prefix: usize,
}

/// A walk over the files whose path starts with a prefix. It holds one folder of each depth at a time.
pub(crate) struct Files<'a> {
    objects: &'a Objects,
    prefix: Vec<u8>,
    levels: Vec<Level>,
    path: Vec<u8>,
    scanned: usize,
    /// Something was passed over: too deep, or too much.
    pub limited: bool,
}

impl<'a> Files<'a> {
    pub(crate) fn new(objects: &'a Objects, root: &Oid, prefix: &[u8]) -> Result<Self> {
        let (prefix, levels, path) = (prefix.to_vec(), Vec::new(), Vec::new());
        let mut files = Self { objects, prefix, levels, path, scanned: 0, limited: false };
        files.enter(root)?;
        Ok(files)
    }

    /// The path of the file that `next` gave last.
    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    fn enter(&mut self, tree: &Oid) -> Result<()> {
        let at = self.path.len();
        let mut items = Vec::new();
        let (path, prefix) = (&self.path, &self.prefix);
        let mut scanned = 0;
        self.objects.each_item(tree, |item| {
            scanned += 1;
            let kind = kind_of(&item);
            if leads_to(path, item.name, kind == EntryKind::Folder, prefix) {
                items.push(Item { name: item.name.to_vec(), mode: item.mode, oid: item.oid, kind });
            }
            Ok(())
        })?;
        self.scanned += scanned;
        self.levels.push(Level { items: items.into_iter(), prefix: at });
        Ok(())
    }

    pub(crate) fn next(&mut self) -> Result<Option<FileEntry>> {
        while let Some(level) = self.levels.last_mut() {
            self.path.truncate(level.prefix);
            let Some(item) = level.items.next() else {
                self.levels.pop();
                continue;
            };
            self.path.extend_from_slice(&item.name);
            if item.kind != EntryKind::Folder {
                return Ok(Some(FileEntry { mode: item.mode, oid: item.oid, kind: item.kind }));
            }
            if self.scanned > ENTRIES_MAX {
                self.limited = true;
                return Ok(None);
            }
            if self.levels.len() >= PATH_DEPTH_MAX {
                self.limited = true;
                continue;
            }
            self.path.push(b'/');
            self.enter(&item.oid)?;
        }
        Ok(None)
    }
}

/// Whether `{folder}{name}` starts with `prefix`, or may have files that do.
fn leads_to(folder: &[u8], name: &[u8], is_folder: bool, prefix: &[u8]) -> bool {
    let Some(rest) = prefix.get(folder.len()..).filter(|rest| !rest.is_empty()) else { return true };
    if name.starts_with(rest) {
        return true;
    }
    is_folder && rest.strip_prefix(name).is_some_and(|below| below.starts_with(b"/"))
}

/// The paths from number `from` on that start with `prefix`.
pub(crate) fn paths(objects: &Objects, commit: Oid, prefix: &[u8], from: u64, limit: usize) -> Result<PathsPage> {
    let root = objects.commit_links(&commit)?.tree;
    let mut files = Files::new(objects, &root, prefix)?;
    let mut page = PathsPage { items: Vec::new(), next: None, limited: false };
    let mut at = 0;
    while files.next()?.is_some() {
        if at >= from {
            if page.items.len() == limit {
                page.next = Some(at);
                break;
            }
            page.items.push(text_of(files.path()));
        }
        at += 1;
    }
    page.limited = files.limited;
    Ok(page)
}

/// As `RepoPath`, of a prefix, which may end anywhere.
pub(crate) fn is_prefix(raw: &str) -> bool {
    raw.is_empty() || RepoPath::existing(raw.strip_suffix('/').unwrap_or(raw)).is_ok()
}
