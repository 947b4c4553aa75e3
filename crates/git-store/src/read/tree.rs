//! Folders and files.

use bytes::Bytes;

use crate::fsck::TreeItem;
use crate::objects::Objects;
use crate::pack::Kind;
use crate::path::text_of;
use crate::{EntryKind, Error, File, Oid, RepoPath, Result, TreeEntry, TreePage};

/// An entry that was found.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub mode: u32,
    pub oid: Oid,
    pub kind: EntryKind,
}

pub(crate) fn kind_of(item: &TreeItem<'_>) -> EntryKind {
    if item.is_folder() {
        EntryKind::Folder
    } else if item.is_symlink() {
        EntryKind::Symlink
    } else if item.is_submodule() {
        EntryKind::Submodule
    } else {
        EntryKind::File
    }
}

/// What is at `path` in the tree `root`.
pub(crate) fn find(objects: &Objects, root: Oid, path: &RepoPath) -> Result<Option<Found>> {
    let mut at = Found { mode: 0o040_000, oid: root, kind: EntryKind::Folder };
    for part in path.names() {
        if at.kind != EntryKind::Folder {
            return Ok(None);
        }
        let mut next = None;
        objects.each_item(&at.oid, |item| {
            if item.name == part.as_ref() {
                next = Some(Found { mode: item.mode, oid: item.oid, kind: kind_of(&item) });
            }
            Ok(())
        })?;
        match next {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Those of `paths` at which there is something.
pub(crate) fn existing(objects: &Objects, commit: Oid, paths: Vec<RepoPath>) -> Result<Vec<RepoPath>> {
    let root = objects.commit_links(&commit)?.tree;
    let mut there = Vec::with_capacity(paths.len());
    for path in paths {
        if find(objects, root, &path)?.is_some() {
            there.push(path);
        }
    }
    Ok(there)
}

pub(crate) fn tree(
    objects: &Objects,
    commit: Oid,
    path: Option<&RepoPath>,
    after: Option<&str>,
    limit: usize,
) -> Result<TreePage> {
    let root = objects.commit_links(&commit)?.tree;
    let folder = match path {
        None => root,
        Some(path) => find(objects, root, path)?
            .filter(|found| found.kind == EntryKind::Folder)
            .map(|found| found.oid)
            .ok_or_else(|| Error::NotFound(format!("folder `{path}`")))?,
    };
    let mut page = TreePage { entries: Vec::new(), next: None };
    let mut past = after.is_none();
    let mut more = false;
    objects.each_item(&folder, |item| {
        let name = text_of(item.name);
        if !past {
            past = after == Some(name.as_str());
        } else if page.entries.len() < limit {
            page.entries.push(TreeEntry { name, mode: item.mode, kind: kind_of(&item), oid: item.oid, size: None });
        } else {
            more = true;
        }
        Ok(())
    })?;
    if !past {
        return Err(cloud::Error::Stale("the cursor").into());
    }
    for entry in &mut page.entries {
        if matches!(entry.kind, EntryKind::File | EntryKind::Symlink) {
            entry.size = objects.header(&entry.oid)?.map(|(_, size)| size);
        }
    }
    page.next = page.entries.last().filter(|_| more).map(|entry| entry.name.clone());
    Ok(page)
}

pub(crate) fn file(objects: &Objects, commit: Oid, path: &RepoPath) -> Result<File> {
    let root = objects.commit_links(&commit)?.tree;
    let found = find(objects, root, path)?.filter(|found| matches!(found.kind, EntryKind::File | EntryKind::Symlink));
    let found = found.ok_or_else(|| Error::NotFound(format!("file `{path}`")))?;
    let bytes = Bytes::from(objects.read_as(&found.oid, Kind::Blob)?);
    Ok(File { bytes, mode: found.mode, oid: found.oid })
}
