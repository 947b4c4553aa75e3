//! Whether one commit leads to another, asked many times over.

use std::collections::{BinaryHeap, HashMap};

use crate::objects::Objects;
use crate::{Error, Oid, Result};

/// Commits that are looked at for all questions of one push. Beyond, nothing leads anywhere: a move of a branch is
/// then taken for a rewind, which fewer people may make.
const STEPS_MAX: usize = 1_000_000;
/// Commits that are kept at hand.
const KEPT_MAX: usize = 100_000;

const OF_FROM: u8 = 1;
const OF_TO: u8 = 2;
/// Known to be of both, and so is all that it leads to.
const STALE: u8 = 4;

pub(crate) struct Ancestry<'a> {
    objects: &'a Objects,
    /// Parents, and the committer's time.
    kept: HashMap<Oid, (Vec<Oid>, i64)>,
    steps_left: usize,
}

impl<'a> Ancestry<'a> {
    pub(crate) fn new(objects: &'a Objects) -> Self {
        Self { objects, kept: HashMap::new(), steps_left: STEPS_MAX }
    }

    /// Whether `from` is `to` or has it among its ancestors; `false` when one of them is no commit that is stored.
    pub(crate) fn leads_to(&mut self, from: Oid, to: Oid) -> Result<bool> {
        if from == to {
            return Ok(true);
        }
        match self.walk(from, to) {
            Err(Error::NotFound(_)) => Ok(false),
            answer => answer,
        }
    }

    /// Paints the ancestors of both, newest first, until all that is left belongs to both (as git finds merge bases).
    fn walk(&mut self, from: Oid, to: Oid) -> Result<bool> {
        let mut colours: HashMap<Oid, u8> = HashMap::new();
        // With the time, and whether it was of one alone when it was put here; `fresh` counts those.
        let mut queue: BinaryHeap<(i64, Oid, bool)> = BinaryHeap::new();
        let mut fresh = 0_usize;
        for (oid, colour) in [(from, OF_FROM), (to, OF_TO)] {
            queue.push((self.links(oid)?.1, oid, true));
            colours.insert(oid, colour);
            fresh += 1;
        }
        while fresh > 0 {
            let Some((_, oid, was_fresh)) = queue.pop() else { break };
            fresh -= usize::from(was_fresh);
            let Some(left) = self.steps_left.checked_sub(1) else { return Ok(false) };
            self.steps_left = left;
            let mut colour = colours.get(&oid).copied().unwrap_or_default();
            if colour & (OF_FROM | OF_TO) == OF_FROM | OF_TO {
                colour |= STALE;
            }
            for parent in self.links(oid)?.0 {
                let before = colours.get(&parent).copied().unwrap_or_default();
                let after = before | colour;
                if after == before {
                    continue;
                }
                if parent == to && after & OF_FROM != 0 {
                    return Ok(true);
                }
                colours.insert(parent, after);
                let is_fresh = after & STALE == 0;
                queue.push((self.links(parent)?.1, parent, is_fresh));
                fresh += usize::from(is_fresh);
            }
        }
        Ok(false)
    }

    fn links(&mut self, oid: Oid) -> Result<(Vec<Oid>, i64)> {
        if let Some(known) = self.kept.get(&oid) {
            return Ok(known.clone());
        }
        let links = self.objects.commit_links(&oid)?;
        let known = (links.parents, links.time);
        if self.kept.len() < KEPT_MAX {
            self.kept.insert(oid, known.clone());
        }
        Ok(known)
    }
}
