//! Every path that a side changed, with what each side has there once renames are followed.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::changes::{Change, tree_changes};
use crate::path::text_of;
use crate::renames::{Follow, find_renames};
use crate::scratch::{Leaf, Scratch};
use crate::{Error, Result};

use super::content::Labels;
use super::path::{Sides, merge_path};
use super::{Conflict, ConflictReason, ConflictSide, Merge};

/// A version of a file, and the path that it has on its side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub path: Vec<u8>,
    pub leaf: Leaf,
}

impl Version {
    pub fn told(&self) -> ConflictSide {
        ConflictSide { path: text_of(&self.path), blob: self.leaf.oid, mode: self.leaf.mode }
    }
}

/// What becomes of a path.
pub(crate) enum Resolved {
    /// `None`: nothing is there.
    Clean(Option<Leaf>),
    Conflict {
        conflict: Box<Conflict>,
        /// The paths that a resolution decides about.
        places: Vec<Vec<u8>>,
        /// What git would leave in the work tree.
        leaf: Option<Leaf>,
    },
}

pub(crate) struct Place {
    pub path: Vec<u8>,
    pub outcome: Resolved,
}

/// What a path is compared by.
#[derive(Clone, Debug, Default)]
struct Entry {
    base: Option<Version>,
    ours: Option<Version>,
    theirs: Option<Version>,
    /// Why this is a conflict whatever the texts say.
    forced: Option<ConflictReason>,
    /// The other name of a file that the sides renamed to two.
    other: Option<Vec<u8>>,
}

pub(crate) struct Table {
    entries: BTreeMap<Vec<u8>, Entry>,
    /// The changes of ours, then of theirs.
    sides: [Vec<Change>; 2],
}

const OURS: usize = 0;
const THEIRS: usize = 1;

impl Entry {
    fn side(&mut self, side: usize) -> &mut Option<Version> {
        if side == OURS { &mut self.ours } else { &mut self.theirs }
    }
}

impl Table {
    pub(crate) fn of(scratch: &Scratch<'_>, merge: &Merge, most: usize) -> Result<Self> {
        let side = |tree| {
            let changes = tree_changes(scratch, merge.base, Some(tree), most)?;
            let too_many =
                || Error::TooLarge(format!("a side changed more than {most} files; merge with a git client"));
            if changes.more { Err(too_many()) } else { Ok(changes.list) }
        };
        let (ours, theirs) = (side(merge.ours)?, side(merge.theirs)?);
        let mut entries: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
        for (side, changes) in [&ours, &theirs].into_iter().enumerate() {
            for change in changes {
                let version = |leaf: Option<Leaf>| leaf.map(|leaf| Version { path: change.path.clone(), leaf });
                let old = version(change.old);
                let entry = entries.entry(change.path.clone()).or_insert_with(|| Entry {
                    base: old.clone(),
                    ours: old.clone(),
                    theirs: old,
                    ..Entry::default()
                });
                *entry.side(side) = version(change.new);
            }
        }
        Ok(Self { entries, sides: [ours, theirs] })
    }

    pub(crate) fn resolve(mut self, scratch: &mut Scratch<'_>, labels: &Labels) -> Result<Vec<Place>> {
        self.follow_renames(scratch, labels)?;
        let mut places = Vec::new();
        for (path, entry) in self.entries {
            let Entry { base, ours, theirs, forced, other } = entry;
            let sides = Sides { path: &path, base, ours, theirs, forced };
            let mut outcome = merge_path(scratch, &sides, labels)?;
            if let (Resolved::Conflict { places, .. }, Some(other)) = (&mut outcome, other) {
                places.push(other);
            }
            places.push(Place { path, outcome });
        }
        folders_in_the_way(&mut places, &self.sides);
        Ok(places)
    }

    /// What each side renamed that the other side changed: old path to new path.
    fn renames(&self, scratch: &Scratch<'_>, side: usize) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let (changes, others) = (&self.sides[side], &self.sides[1 - side]);
        let changed: HashSet<&[u8]> = others.iter().map(|change| change.path.as_slice()).collect();
        let matters = |path: &[u8]| changed.contains(path);
        let found = find_renames(scratch, changes, Follow { empty: false, matters: &matters })?;
        let named = found.iter().map(|rename| (&changes[rename.from].path, &changes[rename.to].path));
        Ok(named.filter(|(from, _)| matters(from)).map(|(from, to)| (from.clone(), to.clone())).collect())
    }

    fn follow_renames(&mut self, scratch: &mut Scratch<'_>, labels: &Labels) -> Result<()> {
        let renames = [self.renames(scratch, OURS)?, self.renames(scratch, THEIRS)?];
        for side in [OURS, THEIRS] {
            for (from, to) in &renames[side] {
                match renames[1 - side].get(from) {
                    Some(other) if other == to => {
                        if side == OURS {
                            self.renamed_alike(from, to);
                        }
                    }
                    Some(other) => {
                        if side == OURS {
                            self.renamed_apart(from, to, other);
                        }
                    }
                    None => self.renamed(scratch, labels, side, from, to)?,
                }
            }
        }
        Ok(())
    }

    /// What was at a path from which a file moved: nothing stays there.
    fn vacate(&mut self, from: &[u8]) -> Entry {
        self.entries.insert(from.to_vec(), Entry::default()).unwrap_or_default()
    }

    /// Both sides gave the file the same new name.
    fn renamed_alike(&mut self, from: &[u8], to: &[u8]) {
        let base = self.vacate(from).base;
        self.entries.entry(to.to_vec()).or_default().base = base;
    }

    /// The sides gave the file two new names.
    fn renamed_apart(&mut self, from: &[u8], ours: &[u8], theirs: &[u8]) {
        let base = self.vacate(from).base;
        let other = self.entries.remove(theirs).and_then(|entry| entry.theirs);
        let entry = self.entries.entry(ours.to_vec()).or_default();
        entry.base = base;
        entry.theirs = other;
        entry.forced = Some(ConflictReason::Renamed);
        entry.other = Some(theirs.to_vec());
    }

    /// One side renamed what the other side changed or deleted.
    fn renamed(
        &mut self,
        scratch: &mut Scratch<'_>,
        labels: &Labels,
        side: usize,
        from: &[u8],
        to: &[u8],
    ) -> Result<()> {
        let mut old = self.vacate(from);
        let changed = old.side(1 - side).take();
        let entry = self.entries.entry(to.to_vec()).or_default();
        if entry.side(1 - side).is_none() {
            entry.base = old.base;
            if changed.is_none() {
                let by = if side == OURS { ConflictReason::DeletedByThem } else { ConflictReason::DeletedByUs };
                entry.forced = Some(by);
            }
            *entry.side(1 - side) = changed;
            return Ok(());
        }
        // The other side has another file under the new name: first the renamed file with its changes, then both.
        if let (Some(base), Some(renamed), Some(changed)) = (old.base, entry.side(side).clone(), changed) {
            let (ours, theirs) = if side == OURS { (renamed, changed) } else { (changed, renamed) };
            let sides = Sides { path: to, base: Some(base), ours: Some(ours), theirs: Some(theirs), forced: None };
            let leaf = match merge_path(scratch, &sides, labels)? {
                Resolved::Clean(leaf) | Resolved::Conflict { leaf, .. } => leaf,
            };
            *entry.side(side) = leaf.map(|leaf| Version { path: to.to_vec(), leaf });
        }
        entry.base = None;
        entry.forced = Some(ConflictReason::Renamed);
        Ok(())
    }
}

/// A file whose path is a folder of another that stays is in conflict.
fn folders_in_the_way(places: &mut [Place], sides: &[Vec<Change>; 2]) {
    let present = |outcome: &Resolved| match outcome {
        Resolved::Clean(leaf) => *leaf,
        Resolved::Conflict { leaf, .. } => *leaf,
    };
    let leaves: HashMap<Vec<u8>, Leaf> =
        places.iter().filter_map(|place| Some((place.path.clone(), present(&place.outcome)?))).collect();
    let mut in_the_way: HashSet<Vec<u8>> = HashSet::new();
    for path in leaves.keys() {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if leaves.contains_key(&path[..at]) {
                in_the_way.insert(path[..at].to_vec());
            }
        }
    }
    for place in places.iter_mut().filter(|place| in_the_way.contains(&place.path)) {
        let leaf = leaves.get(&place.path).copied();
        let told = |side: usize| {
            let change = sides[side].iter().find(|change| change.path == place.path)?;
            change.new.map(|leaf| Version { path: place.path.clone(), leaf }.told())
        };
        let conflict = Conflict {
            path: text_of(&place.path),
            reason: ConflictReason::DirectoryFile,
            base: None,
            ours: told(OURS),
            theirs: told(THEIRS),
            hunks: Vec::new(),
            merged: None,
        };
        place.outcome = Resolved::Conflict { conflict: Box::new(conflict), places: vec![place.path.clone()], leaf };
    }
}
