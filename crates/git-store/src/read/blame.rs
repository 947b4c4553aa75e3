//! Which commit each line of a file comes from (git-blame).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::trail::{Trail, names_of};
use super::{commit, source_of};
use crate::lines::line_changes;
use crate::objects::Objects;
use crate::path::text_of;
use crate::scratch::{Leaf, Scratch};
use crate::{Blame, BlameRange, Error, Oid, RepoPath, Result};

/// A file whose lines are followed (bytes).
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Text compared for one answer (bytes), commits looked at, and time: then the lines that are left stay with the commit
/// that they were followed to.
const COMPARED_BYTES_MAX: u64 = 1 << 30;
const COMMITS_MAX: usize = 200_000;
const TIME_MAX: Duration = Duration::from_secs(12);
/// Equal ends of two texts are left out in blocks of so many bytes (as git does; it decides which of equal lines is which).
const TAIL_BLOCK: usize = 1024;

/// Lines of one version of the file that are the lines from `line` on of the file that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lines {
    /// In this version, from 0 on.
    start: usize,
    count: usize,
    line: usize,
}

/// A version of the file: a commit, and the path that the file has in it.
struct Version {
    path: Vec<u8>,
    trail: Trail,
    blob: Oid,
    lines: Vec<Lines>,
}

struct Search<'a> {
    scratch: Scratch<'a>,
    versions: HashMap<(Oid, Vec<u8>), Version>,
    queue: BinaryHeap<(i64, Reverse<usize>, Oid, Vec<u8>)>,
    queued: usize,
    compared: u64,
    found: BTreeMap<usize, BlameRange>,
}

pub(crate) fn blame(objects: &Objects, from: Oid, path: &RepoPath) -> Result<Blame> {
    let scratch = Scratch::new(objects);
    let until = Instant::now() + TIME_MAX;
    let links = objects.commit_links(&from)?;
    let raw = path.to_bytes().into_owned();
    let trail = Trail::of(&scratch, links.tree, &names_of(&raw), None)?;
    let leaf = trail.end().filter(|leaf| leaf.is_file());
    let leaf = leaf.ok_or_else(|| Error::NotFound(format!("file `{path}`")))?;
    if scratch.size(&leaf.oid)? > FILE_BYTES_MAX {
        return Err(Error::TooLarge(format!("a file of over {FILE_BYTES_MAX} bytes has too many lines to follow")));
    }
    let text = scratch.blob(&leaf.oid)?;
    if super::is_binary(&text) {
        return Err(Error::Conflict("a binary file has no lines".into()));
    }
    let count = crate::lines::lines_of(&text).len();
    let (versions, queue, found) = (HashMap::new(), BinaryHeap::new(), BTreeMap::new());
    let mut search = Search { scratch, versions, queue, queued: 0, compared: 0, found };
    let lines = if count == 0 { Vec::new() } else { vec![Lines { start: 0, count, line: 0 }] };
    search.push(from, links.time, Version { path: raw, trail, blob: leaf.oid, lines });
    let (mut walked, mut partial) = (0, false);
    while let Some((_, _, oid, path)) = search.queue.pop() {
        let Some(mut version) = search.versions.remove(&(oid, path)) else { continue };
        walked += 1;
        partial |= walked > COMMITS_MAX || search.compared > COMPARED_BYTES_MAX || Instant::now() > until;
        if !partial {
            search.pass_on(oid, &mut version)?;
        }
        search.keep(oid, &version);
    }
    search.told(from, path, partial)
}

impl Search<'_> {
    fn push(&mut self, oid: Oid, time: i64, version: Version) {
        if version.lines.is_empty() {
            return;
        }
        let key = (oid, version.path.clone());
        if let Some(known) = self.versions.get_mut(&key) {
            known.lines.extend(version.lines);
            return;
        }
        self.queue.push((time, Reverse(self.queued), oid, version.path.clone()));
        self.queued += 1;
        self.versions.insert(key, version);
    }

    /// Gives the lines that parents have to the parents.
    fn pass_on(&mut self, oid: Oid, version: &mut Version) -> Result<()> {
        let links = self.scratch.objects.commit_links(&oid)?;
        let names = names_of(&version.path);
        let mut parents = Vec::new();
        for parent in &links.parents {
            let above = self.scratch.objects.commit_links(parent)?;
            let trail = Trail::of(&self.scratch, above.tree, &names, Some(&version.trail))?;
            let leaf = trail.end().filter(|leaf| leaf.is_file());
            if leaf.is_some_and(|leaf| leaf.oid == version.blob) {
                let lines = std::mem::take(&mut version.lines);
                self.push(
                    *parent,
                    above.time,
                    Version { path: version.path.clone(), trail, blob: version.blob, lines },
                );
                return Ok(());
            }
            parents.push((*parent, above, leaf.map(|leaf| (leaf, trail, version.path.clone()))));
        }
        for (parent, above, found) in &mut parents {
            if found.is_none()
                && let Some(path) = source_of(&self.scratch, above.tree, links.tree, &version.path)?
            {
                let trail = Trail::of(&self.scratch, above.tree, &names_of(&path), None)?;
                if let Some(leaf) = trail.end().filter(|leaf| leaf.is_file()) {
                    if leaf.oid == version.blob {
                        let lines = std::mem::take(&mut version.lines);
                        self.push(*parent, above.time, Version { path, trail, blob: leaf.oid, lines });
                        return Ok(());
                    }
                    *found = Some((leaf, trail, path));
                }
            }
        }
        let mut compared: Vec<Oid> = Vec::new();
        for (parent, above, found) in parents {
            let Some((leaf, trail, path)) = found else { continue };
            if version.lines.is_empty() || compared.contains(&leaf.oid) {
                continue;
            }
            compared.push(leaf.oid);
            let lines = self.shared(leaf, version)?;
            self.push(parent, above.time, Version { path, trail, blob: leaf.oid, lines });
        }
        Ok(())
    }

    /// Takes from `version` the lines that the file `old` has, and says where they are in it.
    fn shared(&mut self, old: Leaf, version: &mut Version) -> Result<Vec<Lines>> {
        if self.scratch.size(&old.oid)? > FILE_BYTES_MAX {
            return Ok(Vec::new());
        }
        let (before, after) = (self.scratch.blob(&old.oid)?, self.scratch.blob(&version.blob)?);
        self.compared += (before.len() + after.len()) as u64;
        let (short_before, short_after) = without_tail(&before, &after);
        let changes = line_changes(&short_before, &short_after, true)?;
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        version.lines.sort_unstable();
        // Unchanged lines: from the end of one change to the start of the next, moved by as much as it moved the rest.
        let mut regions = Vec::with_capacity(changes.len() + 1);
        let (mut new_at, mut old_at) = (0, 0);
        for change in &changes {
            regions.push((new_at, change.new.start, old_at));
            (new_at, old_at) = (change.new.end, change.old.end);
        }
        regions.push((new_at, usize::MAX, old_at));
        let mut first = 0;
        for lines in &version.lines {
            let (mut at, end) = (lines.start, lines.start + lines.count);
            while first < regions.len() && regions[first].1 <= at {
                first += 1;
            }
            for (start, stop, old_start) in &regions[first.min(regions.len())..] {
                if *start >= end {
                    break;
                }
                if at < *start {
                    left.push(Lines { start: at, count: start - at, line: lines.line + (at - lines.start) });
                    at = *start;
                }
                let to = end.min(*stop);
                if to > at {
                    let line = lines.line + (at - lines.start);
                    kept.push(Lines { start: old_start + (at - start), count: to - at, line });
                    at = to;
                }
            }
            if at < end {
                left.push(Lines { start: at, count: end - at, line: lines.line + (at - lines.start) });
            }
        }
        version.lines = left;
        Ok(kept)
    }

    fn keep(&mut self, oid: Oid, version: &Version) {
        for lines in &version.lines {
            let range = BlameRange {
                line: lines.line + 1,
                count: lines.count,
                commit: oid,
                source_path: text_of(&version.path),
                source_line: lines.start + 1,
            };
            self.found.insert(lines.line, range);
        }
    }

    fn told(self, from: Oid, path: &RepoPath, partial: bool) -> Result<Blame> {
        let mut ranges: Vec<BlameRange> = Vec::new();
        for range in self.found.into_values() {
            match ranges.last_mut() {
                Some(last)
                    if last.commit == range.commit
                        && last.source_path == range.source_path
                        && last.line + last.count == range.line
                        && last.source_line + last.count == range.source_line =>
                {
                    last.count += range.count;
                }
                _ => ranges.push(range),
            }
        }
        let mut commits = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for range in &ranges {
            if seen.insert(range.commit) {
                commits.push(commit(self.scratch.objects, &range.commit)?);
            }
        }
        Ok(Blame { commit: from, path: path.to_string(), ranges, commits, partial })
    }
}

/// Two texts without the end that they share, but for its first line.
fn without_tail(a: &Bytes, b: &Bytes) -> (Bytes, Bytes) {
    let smaller = a.len().min(b.len());
    let mut same = 0;
    while same + TAIL_BLOCK <= smaller
        && a[a.len() - same - TAIL_BLOCK..a.len() - same] == b[b.len() - same - TAIL_BLOCK..b.len() - same]
    {
        same += TAIL_BLOCK;
    }
    let tail = &a[a.len() - same..];
    let first = tail.iter().position(|byte| *byte == b'\n').map_or(same, |at| at + 1);
    (a.slice(..a.len() - same + first), b.slice(..b.len() - same + first))
}
