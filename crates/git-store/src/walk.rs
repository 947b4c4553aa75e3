//! Which objects a client lacks.

use std::collections::{BinaryHeap, HashMap, HashSet};

use crate::filter::Filter;
use crate::objects::{CommitLinks, Objects};
use crate::pack::{Chosen, Kind, PackSet};
use crate::{Error, Oid, Ref, Result};

/// Commits on the client's side whose trees are looked at to find what it has.
const EDGES_MAX: usize = 256;

/// What a client asks for and says of itself.
#[derive(Default)]
pub(crate) struct Wanted {
    pub wants: Vec<Oid>,
    /// Commits that the client has, with all that they lead to.
    pub haves: Vec<Oid>,
    /// Commits whose parents the client does not have, or shall not have.
    pub cut: HashSet<Oid>,
    /// Annotated tags that come along when what they point at does.
    pub tags: Vec<Ref>,
    /// What is left out, unless it is one of `wants`.
    pub filter: Filter,
}

impl Wanted {
    /// Whether bitmaps say what is wanted: all that the wants lead to, but for what the haves lead to and for types that
    /// are left out.
    pub(crate) fn suits_bitmaps(&self) -> bool {
        self.cut.is_empty() && self.filter.is_of_kinds()
    }
}

/// The objects to send, and some that the client has.
#[derive(Default)]
pub(crate) struct Selection {
    pub oids: Vec<Oid>,
    pub selected: HashSet<Oid>,
    pub known: HashSet<Oid>,
}

impl Selection {
    /// The same, by the numbers of a pack set.
    pub(crate) fn numbered(&self, set: &PackSet) -> Result<Chosen> {
        let mut chosen = Chosen::default();
        for oid in &self.oids {
            let missing = || Error::Corrupt(format!("object {oid}, which is in no pack,"));
            chosen.send.insert(set.number(oid).ok_or_else(missing)?);
        }
        chosen.known.extend(self.known.iter().filter_map(|oid| set.number(oid)));
        Ok(chosen)
    }

    fn add(&mut self, oid: Oid) -> bool {
        let new = !self.known.contains(&oid) && self.selected.insert(oid);
        if new {
            self.oids.push(oid);
        }
        new
    }

    /// Takes an object out that is to be had elsewhere; whether it was in. `oids` is to be cleared of it.
    pub(crate) fn leave_out(&mut self, oid: &Oid) -> bool {
        self.selected.remove(oid)
    }
}

pub(crate) fn select(objects: &Objects, wanted: &Wanted) -> Result<Selection> {
    let mut selection = Selection::default();
    let mut trees = Vec::new();
    let mut tips = Vec::new();
    let mut extra = Vec::new();
    for want in &wanted.wants {
        let mut at = *want;
        loop {
            let (kind, _) = objects.header(&at)?.ok_or_else(|| Error::NotFound(format!("object {at}")))?;
            match kind {
                Kind::Commit => tips.push(at),
                Kind::Tree => trees.push(at),
                Kind::Blob => extra.push(at),
                Kind::Tag => {
                    extra.push(at);
                    at = objects.tag_target(&at)?;
                    continue;
                }
            }
            break;
        }
    }
    let commits = CommitWalk::new(objects, &wanted.cut).run(&tips, &wanted.haves)?;
    for edge in commits.edges.iter().take(EDGES_MAX) {
        mark_known(objects, commits.links[edge].tree, &mut selection.known)?;
    }
    selection.known.extend(commits.edges.iter().copied());
    let asked: HashSet<Oid> = tips.iter().copied().collect();
    for commit in &commits.interesting {
        if wanted.filter.takes_kind(Kind::Commit) || asked.contains(commit) {
            selection.add(*commit);
        }
    }
    for oid in extra.iter().chain(&trees) {
        // A partial clone lacks what its commits lead to: what it names, it does not have.
        selection.known.remove(oid);
        selection.add(*oid);
    }
    let mut below = Below { objects, filter: &wanted.filter, depths: HashMap::new(), selection: &mut selection };
    for tree in commits.interesting.iter().map(|commit| commits.links[commit].tree).chain(trees) {
        below.add(tree)?;
    }
    for tag in &wanted.tags {
        if tag.peeled.is_some_and(|peeled| selection.selected.contains(&peeled)) {
            selection.add(tag.oid);
        }
    }
    Ok(selection)
}

/// Adds what lies below trees.
struct Below<'a> {
    objects: &'a Objects,
    filter: &'a Filter,
    /// The least depth at which each tree was met.
    depths: HashMap<Oid, u64>,
    selection: &'a mut Selection,
}

impl Below<'_> {
    fn add(&mut self, root: Oid) -> Result<()> {
        let mut stack = vec![(root, 0)];
        while let Some((tree, depth)) = stack.pop() {
            if !self.enter(tree, depth) {
                continue;
            }
            let objects = self.objects;
            objects.each_item(&tree, |item| {
                if item.is_folder() {
                    stack.push((item.oid, depth + 1));
                } else if !item.is_submodule() {
                    self.add_blob(item.oid, depth + 1)?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds a tree; whether what is in it is to be looked at.
    fn enter(&mut self, tree: Oid, depth: u64) -> bool {
        if self.selection.known.contains(&tree) {
            return false;
        }
        // Only with a limit to the depth does it matter where a tree is met again.
        let depth = if self.filter.tree_depth().is_some() { depth } else { 0 };
        if self.depths.get(&tree).is_some_and(|met| *met <= depth) {
            return false;
        }
        self.depths.insert(tree, depth);
        if self.filter.takes_at(Kind::Tree, depth) {
            self.selection.add(tree);
        }
        self.filter.descends(depth)
    }

    fn add_blob(&mut self, oid: Oid, depth: u64) -> Result<()> {
        if !self.filter.takes_at(Kind::Blob, depth) || self.selection.selected.contains(&oid) {
            return Ok(());
        }
        let size = || match self.objects.header(&oid)? {
            Some((_, size)) => Ok(size),
            None => Err(Error::Corrupt(format!("blob {oid}, which is in no pack,"))),
        };
        if self.filter.takes_blob(size)? {
            self.selection.add(oid);
        }
        Ok(())
    }
}

fn mark_known(objects: &Objects, root: Oid, known: &mut HashSet<Oid>) -> Result<()> {
    let mut stack = Vec::new();
    if known.insert(root) {
        stack.push(root);
    }
    while let Some(tree) = stack.pop() {
        objects.each_item(&tree, |item| {
            if !item.is_submodule() && known.insert(item.oid) && item.is_folder() {
                stack.push(item.oid);
            }
            Ok(())
        })?;
    }
    Ok(())
}

const UNINTERESTING: u8 = 1;
const QUEUED: u8 = 2;

/// Commits from newest to oldest, in two colours.
struct CommitWalk<'a> {
    objects: &'a Objects,
    cut: &'a HashSet<Oid>,
    links: HashMap<Oid, CommitLinks>,
    flags: HashMap<Oid, u8>,
    queue: BinaryHeap<(i64, Oid)>,
    interesting_queued: usize,
}

struct Commits {
    interesting: Vec<Oid>,
    /// Commits on the client's side next to what is sent.
    edges: Vec<Oid>,
    links: HashMap<Oid, CommitLinks>,
}

impl<'a> CommitWalk<'a> {
    fn new(objects: &'a Objects, cut: &'a HashSet<Oid>) -> Self {
        let (links, flags) = (HashMap::new(), HashMap::new());
        Self { objects, cut, links, flags, queue: BinaryHeap::new(), interesting_queued: 0 }
    }

    fn push(&mut self, oid: Oid, uninteresting: bool) -> Result<()> {
        let before = self.flags.get(&oid).copied();
        let was = before.unwrap_or(0);
        if before.is_some() && (!uninteresting || was & UNINTERESTING != 0) {
            return Ok(());
        }
        if !self.links.contains_key(&oid) {
            self.links.insert(oid, self.objects.commit_links(&oid)?);
        }
        if was & QUEUED == 0 {
            self.queue.push((self.links[&oid].time, oid));
        } else if uninteresting {
            self.interesting_queued -= 1;
        }
        if !uninteresting {
            self.interesting_queued += 1;
        }
        self.flags.insert(oid, was | QUEUED | if uninteresting { UNINTERESTING } else { 0 });
        Ok(())
    }

    fn run(mut self, tips: &[Oid], haves: &[Oid]) -> Result<Commits> {
        for have in haves {
            self.push(*have, true)?;
        }
        for tip in tips {
            self.push(*tip, false)?;
        }
        let mut emitted = Vec::new();
        while self.interesting_queued > 0 {
            let Some((_, oid)) = self.queue.pop() else { break };
            let flags = self.flags.entry(oid).or_default();
            *flags &= !QUEUED;
            let uninteresting = *flags & UNINTERESTING != 0;
            if !uninteresting {
                self.interesting_queued -= 1;
                emitted.push(oid);
            }
            if !self.cut.contains(&oid) {
                for parent in self.links[&oid].parents.clone() {
                    self.push(parent, uninteresting)?;
                }
            }
        }
        let hidden = |oid: &Oid| self.flags.get(oid).is_some_and(|flags| flags & UNINTERESTING != 0);
        emitted.retain(|oid| !hidden(oid));
        let mut edges = Vec::new();
        let mut seen = HashSet::new();
        let parents = emitted.iter().filter(|oid| !self.cut.contains(oid)).flat_map(|oid| &self.links[oid].parents);
        for oid in parents.chain(haves).filter(|oid| hidden(oid)) {
            if seen.insert(*oid) {
                edges.push(*oid);
            }
        }
        Ok(Commits { interesting: emitted, edges, links: self.links })
    }
}
