//! Commits, one by one and in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::rc::Rc;

use cloud::Millis;

use super::trail::{Trail, names_of};
use crate::changes::tree_changes;
use crate::objects::{CommitLinks, Objects};
use crate::pack::Kind;
use crate::renames::{Follow, find_renames};
use crate::scratch::Scratch;
use crate::{Commit, Error, LogPage, LogQuery, Oid, Result, Signature};

/// Commits looked at for one page.
const WALK_MAX: usize = 20_000;
/// Commits of a range.
const RANGE_MAX: usize = 200_000;
/// Renames looked for in one walk: each may compare many files.
const RENAMES_MAX: usize = 100;
/// Files that a commit may have changed for a rename to be looked for in it.
const RENAME_CHANGES_MAX: usize = 2_000;

pub(crate) fn commit(objects: &Objects, oid: &Oid) -> Result<Commit> {
    let bytes = objects.read_as(oid, Kind::Commit)?;
    parse_commit(*oid, &bytes).ok_or_else(|| Error::Corrupt(format!("commit {oid}")))
}

pub(crate) fn parse_commit(oid: Oid, bytes: &[u8]) -> Option<Commit> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, message) = end.map_or((bytes, &b""[..]), |at| (&bytes[..at], &bytes[at + 2..]));
    let (mut tree, mut parents, mut author, mut committer) = (None, Vec::new(), None, None);
    for line in head.split(|b| *b == b'\n') {
        if let Some(hex) = line.strip_prefix(b"tree ") {
            tree = Oid::parse_bytes(hex);
        } else if let Some(hex) = line.strip_prefix(b"parent ") {
            parents.push(Oid::parse_bytes(hex)?);
        } else if let Some(who) = line.strip_prefix(b"author ") {
            author = author.or_else(|| parse_signature(who));
        } else if let Some(who) = line.strip_prefix(b"committer ") {
            committer = committer.or_else(|| parse_signature(who));
        }
    }
    let message = String::from_utf8_lossy(message).into_owned();
    Some(Commit { oid, tree: tree?, parents, author: author?, committer: committer?, message })
}

pub(crate) fn parse_signature(line: &[u8]) -> Option<Signature> {
    let text = String::from_utf8_lossy(line);
    let (name, rest) = text.split_once('<')?;
    let (email, date) = rest.split_once('>')?;
    let mut date = date.split_ascii_whitespace();
    let seconds: i64 = date.next()?.parse().ok()?;
    let zone: i32 = date.next()?.parse().ok()?;
    Some(Signature {
        name: name.trim().to_owned(),
        email: email.to_owned(),
        at: Millis(seconds.saturating_mul(1000)),
        offset_minutes: zone / 100 * 60 + zone % 100,
    })
}

/// The commits that `from` has and `without` has not.
pub(crate) fn range(objects: &Objects, from: Oid, without: Oid) -> Result<HashSet<Oid>> {
    let mut walk = objects.repository().revwalk()?;
    walk.push(from.into())?;
    walk.hide(without.into())?;
    walk.take(RANGE_MAX).map(|oid| Ok(Oid::from(oid?))).collect()
}

/// A path that is followed: its names, and what is there in one commit.
#[derive(Clone)]
struct Followed {
    names: Rc<Vec<Vec<u8>>>,
    trail: Trail,
}

struct Walk<'a> {
    scratch: Scratch<'a>,
    query: &'a LogQuery,
    /// Commits of the range; all when `None`.
    range: Option<HashSet<Oid>>,
    seen: HashSet<Oid>,
    /// Of one date, the one that was found first.
    queue: BinaryHeap<(i64, Reverse<usize>, Oid)>,
    links: HashMap<Oid, CommitLinks>,
    paths: HashMap<Oid, Followed>,
    renames_left: usize,
}

/// By date, newest first; a commit comes after all of its children that were reached before it. With a path, the
/// commits that changed what is there; where a merge has it from a parent, that parent's history alone (git-log,
/// "History Simplification", the default mode).
pub(crate) fn log(objects: &Objects, query: &LogQuery) -> Result<LogPage> {
    let limit = query.limit.clamp(1, 1000);
    let range = query.without.map(|without| range(objects, query.from, without)).transpose()?;
    let scratch = Scratch::new(objects);
    let (seen, links, paths) = (HashSet::new(), HashMap::new(), HashMap::new());
    let mut walk =
        Walk { scratch, query, range, seen, queue: BinaryHeap::new(), links, paths, renames_left: RENAMES_MAX };
    walk.push(query.from, None)?;
    let mut page = LogPage { commits: Vec::new(), next: None };
    let mut past = query.after.is_none();
    let mut walked = 0;
    let mut last = None;
    while let Some((_, _, oid)) = walk.queue.pop() {
        if page.commits.len() == limit || walked == WALK_MAX {
            page.next = last;
            return Ok(page);
        }
        let shown = walk.step(oid)?;
        if !past {
            past = query.after == Some(oid);
            continue;
        }
        walked += 1;
        last = Some(oid);
        if shown {
            page.commits.push(commit(objects, &oid)?);
        }
    }
    if past { Ok(page) } else { Err(cloud::Error::Stale("the cursor").into()) }
}

impl Walk<'_> {
    fn push(&mut self, oid: Oid, near: Option<&Followed>) -> Result<()> {
        let outside = self.range.as_ref().is_some_and(|range| !range.contains(&oid));
        if outside || !self.seen.insert(oid) {
            return Ok(());
        }
        let links = self.scratch.objects.commit_links(&oid)?;
        if let Some(path) = &self.query.path {
            let names = near.map_or_else(|| Rc::new(names_of(&path.to_bytes())), |near| Rc::clone(&near.names));
            let trail = Trail::of(&self.scratch, links.tree, &names, near.map(|near| &near.trail))?;
            self.paths.insert(oid, Followed { names, trail });
        }
        self.queue.push((links.time, Reverse(self.seen.len()), oid));
        self.links.insert(oid, links);
        Ok(())
    }

    /// Queues the parents; whether the commit is one to show.
    fn step(&mut self, oid: Oid) -> Result<bool> {
        let Some(links) = self.links.remove(&oid) else { return Ok(false) };
        let Some(here) = self.paths.remove(&oid) else {
            for parent in &links.parents {
                self.push(*parent, None)?;
            }
            return Ok(true);
        };
        let mut gone = true;
        for parent in &links.parents {
            let tree = self.scratch.objects.commit_links(parent)?.tree;
            let there = Trail::of(&self.scratch, tree, &here.names, Some(&here.trail))?.end();
            gone &= there.is_none();
            if there == here.trail.end() {
                self.push(*parent, Some(&here))?;
                return Ok(false);
            }
        }
        let mut next = here.clone();
        if gone
            && self.query.follow
            && let Some(first) = links.parents.first()
            && let Some(names) = self.renamed_from(*first, links.tree, &here.names)?
        {
            next = Followed { names: Rc::new(names), trail: Trail::default() };
        }
        for parent in &links.parents {
            self.push(*parent, Some(&next))?;
        }
        Ok(!links.parents.is_empty() || here.trail.end().is_some())
    }

    fn renamed_from(&mut self, parent: Oid, tree: Oid, names: &[Vec<u8>]) -> Result<Option<Vec<Vec<u8>>>> {
        if self.renames_left == 0 {
            return Ok(None);
        }
        self.renames_left -= 1;
        let before = self.scratch.objects.commit_links(&parent)?.tree;
        source_of(&self.scratch, before, tree, &names.join(&b'/')).map(|path| path.map(|path| names_of(&path)))
    }
}

/// The path in the tree `before` of the file that is at `path` in `tree`, when it was renamed.
pub(crate) fn source_of(scratch: &Scratch<'_>, before: Oid, tree: Oid, path: &[u8]) -> Result<Option<Vec<u8>>> {
    let changes = tree_changes(scratch, Some(before), Some(tree), RENAME_CHANGES_MAX)?;
    if changes.more {
        return Ok(None);
    }
    let renames = find_renames(scratch, &changes.list, Follow { empty: true, matters: &|_| true })?;
    let found = renames.iter().find(|rename| changes.list[rename.to].path == path);
    Ok(found.map(|rename| changes.list[rename.from].path.clone()))
}
