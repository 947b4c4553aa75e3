//! Making bitmaps: oldest commits first, so that each walk ends at the ones before it.

use std::collections::{HashMap, HashSet};

use super::Bitmaps;
use super::reach::Reach;
use crate::objects::{CommitLinks, Objects};
use crate::pack::{Kind, PackSet};
use crate::{Oid, Result};

/// Tips that have a bitmap each; with many more, the later ones are walked to a commit that has.
const TIPS_MAX: usize = 64;
/// Commits between the tips that have one.
const BETWEEN_MAX: usize = 64;
/// Commits that are not worth a bitmap of their own.
const SPACING_MIN: usize = 100;
/// How far behind the default branch more commits have one, each twice as far as the one before: who fetches often has
/// one of these, or nearly.
const BEHIND: std::ops::RangeInclusive<usize> = 4..=256;

/// Bitmaps of the commits that `tips` (refs, the most important first) lead to.
pub(crate) fn build(set: &PackSet, objects: &Objects, tips: &[Oid]) -> Result<Bitmaps> {
    let mut commits = Vec::new();
    for tip in tips {
        let (kind, oid) = objects.peel(tip)?;
        if kind == Kind::Commit && !commits.contains(&oid) && commits.len() < TIPS_MAX {
            commits.push(oid);
        }
    }
    let order = oldest_first(objects, tips)?;
    let spacing = (order.len() / BETWEEN_MAX).max(SPACING_MIN);
    let head = commits.first().and_then(|head| order.iter().position(|oid| oid == head)).unwrap_or(0);
    let is_recent = |at: usize| at < head && BEHIND.contains(&(head - at)) && (head - at).is_power_of_two();
    let tips: HashSet<Oid> = commits.into_iter().collect();
    let is_spaced = |at: usize| at % spacing == spacing - 1;
    let chosen = order.iter().enumerate().filter(|(at, oid)| tips.contains(oid) || is_spaced(*at) || is_recent(*at));
    let mut bitmaps = Bitmaps { covered: set.len(), kinds: set.kinds()?, commits: HashMap::new() };
    for (_, oid) in chosen {
        let mut reach = Reach::new(set, objects, Some(&bitmaps));
        reach.add(oid)?;
        let found = reach.finish()?;
        bitmaps.commits.insert(*oid, found);
    }
    Ok(bitmaps)
}

/// All commits behind the tips, parents before children.
fn oldest_first(objects: &Objects, tips: &[Oid]) -> Result<Vec<Oid>> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut stack: Vec<(Oid, std::vec::IntoIter<Oid>)> = Vec::new();
    let enter = |oid: Oid| -> Result<_> {
        let CommitLinks { parents, .. } = objects.commit_links(&oid)?;
        Ok((oid, parents.into_iter()))
    };
    for tip in tips {
        let (kind, oid) = objects.peel(tip)?;
        if kind != Kind::Commit || !seen.insert(oid) {
            continue;
        }
        stack.push(enter(oid)?);
        while let Some((oid, parents)) = stack.last_mut() {
            match parents.next() {
                Some(parent) if seen.insert(parent) => stack.push(enter(parent)?),
                Some(_) => {}
                None => {
                    order.push(*oid);
                    stack.pop();
                }
            }
        }
    }
    Ok(order)
}
