//! The commit that last changed each entry of a folder.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use super::commit;
use super::trail::{Trail, names_of};
use crate::objects::Objects;
use crate::scratch::{Leaf, Scratch};
use crate::{Commit, Oid, Result};

/// Commits looked at, and the time for it: entries that were changed before stay without a commit.
const COMMITS_MAX: usize = 20_000;
const TIME_MAX: Duration = Duration::from_secs(3);

/// A commit that is still to be looked at: what its folder is, and which entries it may have changed.
struct Waiting {
    trail: Trail,
    tree: Oid,
    parents: Vec<Oid>,
    entries: Vec<usize>,
}

/// For each of `names` in the folder at `path`, the commit that `git log -1` shows for it.
pub(crate) fn touched(
    objects: &Objects,
    from: Oid,
    path: &[u8],
    names: &[Vec<u8>],
) -> Result<(Vec<Option<Commit>>, bool)> {
    let scratch = Scratch::new(objects);
    let (folder, until) = (names_of(path), Instant::now() + TIME_MAX);
    let mut found: Vec<Option<Oid>> = vec![None; names.len()];
    let mut waiting: HashMap<Oid, Waiting> = HashMap::new();
    let mut queue: BinaryHeap<(i64, Reverse<usize>, Oid)> = BinaryHeap::new();
    let links = objects.commit_links(&from)?;
    let trail = Trail::of(&scratch, links.tree, &folder, None)?;
    let wanted = entries_of(&scratch, &trail, names)?;
    let entries = (0..names.len()).filter(|at| wanted[*at].is_some()).collect();
    waiting.insert(from, Waiting { trail, tree: links.tree, parents: links.parents, entries });
    queue.push((links.time, Reverse(0), from));
    let (mut queued, mut walked) = (1, 0);
    while let Some((_, _, oid)) = queue.pop() {
        let Some(here) = waiting.remove(&oid) else { continue };
        walked += 1;
        if walked > COMMITS_MAX || Instant::now() > until {
            return told(objects, found).map(|found| (found, false));
        }
        let mut left = here.entries;
        for parent in &here.parents {
            if left.is_empty() {
                break;
            }
            let links = objects.commit_links(parent)?;
            let trail = match waiting.get(parent) {
                Some(known) => known.trail.clone(),
                None if links.tree == here.tree => here.trail.clone(),
                None => Trail::of(&scratch, links.tree, &folder, Some(&here.trail))?,
            };
            let kept: Vec<usize> = if trail.end() == here.trail.end() {
                std::mem::take(&mut left)
            } else {
                let there = entries_of(&scratch, &trail, names)?;
                let (kept, rest) = left.iter().partition(|at| there[**at] == wanted[**at]);
                left = rest;
                kept
            };
            if kept.is_empty() {
                continue;
            }
            match waiting.get_mut(parent) {
                Some(known) => known.entries.extend(kept),
                None => {
                    queue.push((links.time, Reverse(queued), *parent));
                    queued += 1;
                    let next = Waiting { trail, tree: links.tree, parents: links.parents, entries: kept };
                    waiting.insert(*parent, next);
                }
            }
        }
        for at in left {
            found[at] = Some(oid);
        }
    }
    told(objects, found).map(|found| (found, true))
}

fn entries_of(scratch: &Scratch<'_>, folder: &Trail, names: &[Vec<u8>]) -> Result<Vec<Option<Leaf>>> {
    let Some(folder) = folder.end().filter(|leaf| leaf.is_folder()) else { return Ok(vec![None; names.len()]) };
    let items: HashMap<Vec<u8>, Leaf> = scratch.items(&folder.oid)?.into_iter().collect();
    Ok(names.iter().map(|name| items.get(name).copied()).collect())
}

fn told(objects: &Objects, found: Vec<Option<Oid>>) -> Result<Vec<Option<Commit>>> {
    let mut commits: HashMap<Oid, Commit> = HashMap::new();
    for oid in found.iter().flatten() {
        if !commits.contains_key(oid) {
            commits.insert(*oid, commit(objects, oid)?);
        }
    }
    Ok(found.into_iter().map(|oid| oid.and_then(|oid| commits.get(&oid).cloned())).collect())
}
