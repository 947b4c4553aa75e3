//! Commits, one by one and in order.

use std::collections::{BinaryHeap, HashSet};

use cloud::Millis;

use super::find;
use crate::objects::{CommitLinks, Objects};
use crate::pack::Kind;
use crate::{Commit, Error, LogPage, LogQuery, Oid, RepoPath, Result, Signature};

/// Commits looked at for one page.
const WALK_MAX: usize = 20_000;

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

fn parse_signature(line: &[u8]) -> Option<Signature> {
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

/// By date, newest first; a commit comes after all of its children that were reached before it.
pub(crate) fn log(objects: &Objects, query: &LogQuery) -> Result<LogPage> {
    let limit = query.limit.clamp(1, 1000);
    let mut seen = HashSet::from([query.from]);
    let mut queue = BinaryHeap::from([(objects.commit_links(&query.from)?.time, query.from)]);
    let mut page = LogPage { commits: Vec::new(), next: None };
    let mut past = query.after.is_none();
    let mut walked = 0;
    let mut last = None;
    while let Some((_, oid)) = queue.pop() {
        if page.commits.len() == limit || walked == WALK_MAX {
            page.next = last;
            return Ok(page);
        }
        let links = objects.commit_links(&oid)?;
        for parent in &links.parents {
            if seen.insert(*parent) {
                queue.push((objects.commit_links(parent)?.time, *parent));
            }
        }
        if !past {
            past = query.after == Some(oid);
            continue;
        }
        walked += 1;
        last = Some(oid);
        if query.path.as_ref().map_or(Ok(true), |path| changes(objects, &links, path))? {
            page.commits.push(commit(objects, &oid)?);
        }
    }
    if past { Ok(page) } else { Err(cloud::Error::Stale("the cursor").into()) }
}

/// Whether a commit differs at `path` from every one of its parents.
fn changes(objects: &Objects, links: &CommitLinks, path: &RepoPath) -> Result<bool> {
    let at = |tree: Oid| Ok::<_, Error>(find(objects, tree, path)?.map(|found| (found.mode, found.oid)));
    let here = at(links.tree)?;
    for parent in &links.parents {
        if at(objects.commit_links(parent)?.tree)? == here {
            return Ok(false);
        }
    }
    Ok(!links.parents.is_empty() || here.is_some())
}
