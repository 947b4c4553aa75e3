//! Whether history leads from here to there.

use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::objects::{CommitLinks, Objects};
use crate::pack::Kind;
use crate::{Oid, Result};

/// The first of `targets` that no walk from `roots` comes to: through tags, history, trees. What is near the newest
/// commits is found first.
pub(crate) fn first_unreachable(objects: &Objects, roots: &[Oid], targets: &[Oid]) -> Result<Option<Oid>> {
    let mut search = Search {
        objects,
        left: targets.iter().copied().collect(),
        seen: HashSet::new(),
        inside: false,
        queue: BinaryHeap::new(),
        waiting: HashMap::new(),
    };
    for target in targets {
        match objects.header(target)? {
            None => return Ok(Some(*target)),
            Some((kind, _)) => search.inside |= matches!(kind, Kind::Tree | Kind::Blob),
        }
    }
    search.run(roots)?;
    Ok(targets.iter().find(|target| search.left.contains(*target)).copied())
}

/// Whether a walk from `tips` comes to `target`.
pub(crate) fn is_reachable(objects: &Objects, tips: &[Oid], target: &Oid) -> Result<bool> {
    Ok(first_unreachable(objects, tips, &[*target])?.is_none())
}

struct Search<'a> {
    objects: &'a Objects,
    left: HashSet<Oid>,
    seen: HashSet<Oid>,
    /// Trees and blobs are among what is searched.
    inside: bool,
    queue: BinaryHeap<(i64, Oid)>,
    waiting: HashMap<Oid, CommitLinks>,
}

impl Search<'_> {
    fn run(&mut self, roots: &[Oid]) -> Result<()> {
        for root in roots {
            let mut at = *root;
            while self.seen.insert(at) {
                self.left.remove(&at);
                match self.objects.header(&at)?.map(|(kind, _)| kind) {
                    Some(Kind::Tag) => at = self.objects.tag_target(&at)?,
                    Some(Kind::Commit) => self.queue_commit(at)?,
                    Some(Kind::Tree) => {
                        self.seen.remove(&at);
                        self.look_into(at)?;
                    }
                    _ => {}
                }
            }
        }
        while let Some((_, commit)) = self.queue.pop() {
            let links = self.waiting.remove(&commit).filter(|_| !self.left.is_empty());
            let Some(links) = links else { break };
            if self.inside {
                self.look_into(links.tree)?;
            }
            for parent in links.parents {
                if self.seen.insert(parent) {
                    self.left.remove(&parent);
                    self.queue_commit(parent)?;
                }
            }
        }
        Ok(())
    }

    fn queue_commit(&mut self, oid: Oid) -> Result<()> {
        let links = self.objects.commit_links(&oid)?;
        self.queue.push((links.time, oid));
        self.waiting.insert(oid, links);
        Ok(())
    }

    fn look_into(&mut self, root: Oid) -> Result<()> {
        let mut stack = vec![root];
        while let Some(tree) = stack.pop() {
            if self.left.is_empty() || !self.seen.insert(tree) {
                continue;
            }
            self.left.remove(&tree);
            let left = &mut self.left;
            self.objects.each_item(&tree, |item| {
                if item.is_folder() {
                    stack.push(item.oid);
                } else if !item.is_submodule() {
                    left.remove(&item.oid);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Commits that are read to find out whether all is known that has to be.
const STEPS_MAX: usize = 100_000;

/// Whether every want has one of `common` among its ancestors; `false` also when that takes too long to find out.
pub(crate) fn all_reach(objects: &Objects, wants: &[Oid], common: &HashSet<Oid>) -> Result<bool> {
    let mut oldest = i64::MAX;
    for oid in common {
        oldest = oldest.min(objects.commit_links(oid)?.time);
    }
    let mut left = STEPS_MAX;
    for want in wants {
        let (kind, tip) = objects.peel(want)?;
        if kind == Kind::Commit && !reaches(objects, tip, common, oldest, &mut left)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn reaches(objects: &Objects, tip: Oid, common: &HashSet<Oid>, oldest: i64, left: &mut usize) -> Result<bool> {
    let mut seen = HashSet::from([tip]);
    let mut stack = vec![tip];
    while let Some(oid) = stack.pop() {
        if common.contains(&oid) {
            return Ok(true);
        }
        let Some(fewer) = left.checked_sub(1) else { return Ok(false) };
        *left = fewer;
        let links = objects.commit_links(&oid)?;
        if links.time >= oldest {
            stack.extend(links.parents.into_iter().filter(|parent| seen.insert(*parent)));
        }
    }
    Ok(false)
}
