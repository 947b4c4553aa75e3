//! Three trees into one, in memory: renames followed, conflicts told by path with their reason.
//!
//! Only what a side changed is looked at. What becomes of a path follows git's merge (merge-ort) but for one thing: a
//! folder that one side renamed does not take along what the other side adds to it.

mod base;
mod content;
mod model;
mod path;
mod table;

pub(crate) use base::{merge_base_tree, merge_bases};
pub(crate) use content::Labels;
pub use model::{
    Conflict, ConflictHunk, ConflictReason, ConflictSide, MergeKind, MergeOutcome, MergePreview, MergeRequest,
    PickRequest, Resolution, ResolutionTake,
};
pub(crate) use table::Resolved;

use std::collections::{BTreeMap, BTreeSet};

use crate::folder::Folder;
use crate::pack::Kind;
use crate::scratch::{Leaf, Scratch};
use crate::{Error, Oid, Result};

use table::{Place, Table};

/// Changes of one side that can be merged here.
const CHANGES_MAX: usize = 50_000;
/// Conflicts told.
const CONFLICTS_MAX: usize = 1_000;
/// Text told with conflicts (bytes): an answer has at most 6 MB, and JSON makes text longer.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Three trees to merge.
pub(crate) struct Merge {
    /// `None` compares with an empty tree.
    pub base: Option<Oid>,
    pub ours: Oid,
    pub theirs: Oid,
    pub labels: Labels,
}

/// A merged tree, or what is in its way.
pub(crate) enum Outcome {
    Tree(Oid),
    Conflicts(Vec<Conflict>),
}

/// Merges; `resolutions` say what becomes of paths in conflict.
pub(crate) fn merge(scratch: &mut Scratch<'_>, merge: &Merge, resolutions: &[Resolution]) -> Result<Outcome> {
    let places = Table::of(scratch, merge, CHANGES_MAX)?.resolve(scratch, &merge.labels)?;
    let given: BTreeMap<Vec<u8>, &Resolution> =
        resolutions.iter().map(|resolution| (resolution.path.to_bytes().into_owned(), resolution)).collect();
    if given.len() < resolutions.len() {
        return Err(Error::Invalid("a path is resolved twice".into()));
    }
    let mut used = BTreeSet::new();
    let mut edits: BTreeMap<Vec<u8>, Option<Leaf>> = BTreeMap::new();
    let mut left = Vec::new();
    for place in places {
        match place.outcome {
            Resolved::Clean(leaf) => {
                edits.insert(place.path, leaf);
            }
            Resolved::Conflict { conflict, places, .. } => {
                used.extend(places.iter().filter(|path| given.contains_key(*path)).cloned());
                if places.iter().all(|path| !given.contains_key(path)) {
                    left.push(*conflict);
                    continue;
                }
                for path in places {
                    let leaf = given.get(&path).map(|by| take(scratch, by, &conflict)).transpose()?.flatten();
                    edits.insert(path, leaf);
                }
            }
        }
    }
    for (path, by) in &given {
        if !used.contains(path) {
            // A file in conflict may get a new name; what nobody fought over stays as the sides have it.
            let there = edits.get(path).is_some_and(Option::is_some) || scratch.find(&merge.ours, path)?.is_some();
            if there || used.is_empty() && left.is_empty() {
                return Err(Error::Invalid(format!("`{}` is in no conflict", by.path)));
            }
            crate::RepoPath::parse(by.path.as_str())?;
            let ResolutionTake::Bytes { bytes, mode } = &by.take else { continue };
            let oid = scratch.add(Kind::Blob, bytes.clone());
            edits.insert(path.clone(), Some(Leaf { mode: mode.unwrap_or_default().bits(), oid }));
        }
    }
    if !left.is_empty() {
        return Ok(Outcome::Conflicts(bounded(left)));
    }
    written(scratch, merge.ours, edits).map(Outcome::Tree)
}

/// What a person made of a conflict.
fn take(scratch: &mut Scratch<'_>, by: &Resolution, conflict: &Conflict) -> Result<Option<Leaf>> {
    let side = |side: &Option<ConflictSide>| side.as_ref().map(|side| Leaf { mode: side.mode, oid: side.blob });
    Ok(match &by.take {
        ResolutionTake::Delete => None,
        ResolutionTake::Ours => side(&conflict.ours),
        ResolutionTake::Theirs => side(&conflict.theirs),
        ResolutionTake::Bytes { bytes, mode } => {
            let before =
                side(&conflict.ours).or(side(&conflict.theirs)).filter(|leaf| leaf.mode & 0o170_000 != 0o160_000);
            let mode = mode.map_or(before.map_or(0o100_644, |leaf| leaf.mode), crate::FileMode::bits);
            Some(Leaf { mode, oid: scratch.add(Kind::Blob, bytes.clone()) })
        }
    })
}

/// A tree like `ours`, with the edits.
fn written(scratch: &mut Scratch<'_>, ours: Oid, edits: BTreeMap<Vec<u8>, Option<Leaf>>) -> Result<Oid> {
    let mut root = Folder::read(scratch, &ours)?;
    // What goes makes place for what comes.
    for (path, _) in edits.iter().filter(|(_, leaf)| leaf.is_none()) {
        // A file may be where the path had a folder.
        match root.set(scratch, path, None) {
            Err(Error::Conflict(_)) => {}
            other => other?,
        }
    }
    for (path, leaf) in edits {
        if leaf.is_some() {
            root.set(scratch, &path, leaf)?;
        }
    }
    root.write_root(scratch)
}

/// As many conflicts, and as much of their text, as fit into an answer.
fn bounded(mut conflicts: Vec<Conflict>) -> Vec<Conflict> {
    conflicts.sort_by(|a, b| a.path.cmp(&b.path));
    conflicts.truncate(CONFLICTS_MAX);
    let mut left = TEXT_BYTES_MAX;
    for conflict in &mut conflicts {
        let lines = conflict.hunks.iter().flat_map(|hunk| [&hunk.base, &hunk.ours, &hunk.theirs]).flatten();
        let length = lines.map(|line| line.len() + 3).sum::<usize>() + conflict.merged.as_ref().map_or(0, String::len);
        if length > left {
            conflict.hunks.clear();
            conflict.merged = None;
        } else {
            left -= length;
        }
    }
    conflicts
}

/// A merge that always comes to a tree, for the base of another: conflicts stay in it as text with markers.
fn merge_with_markers(scratch: &mut Scratch<'_>, merge: &Merge) -> Result<Oid> {
    let places = Table::of(scratch, merge, CHANGES_MAX)?.resolve(scratch, &merge.labels)?;
    let mut edits = BTreeMap::new();
    for Place { path, outcome } in places {
        match outcome {
            Resolved::Clean(leaf) => {
                edits.insert(path, leaf);
            }
            // A file where a folder is has no place.
            Resolved::Conflict { conflict, .. } if conflict.reason == ConflictReason::DirectoryFile => {
                edits.insert(path, None);
            }
            Resolved::Conflict { places, leaf, .. } => {
                for place in places {
                    edits.insert(place, leaf);
                }
            }
        }
    }
    written(scratch, merge.ours, edits)
}
