//! Histories cut short (gitprotocol-pack, "shallow" and "deepen").

use std::collections::{HashMap, HashSet, VecDeque};

use crate::objects::Objects;
use crate::pack::Kind;
use crate::{Error, Oid, Result};

/// How much history is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deepen {
    pub depth: Option<u64>,
    /// `depth` counts from where the client's history ends now.
    pub relative: bool,
    /// Seconds.
    pub since: Option<i64>,
    pub not: Vec<Oid>,
}

impl Deepen {
    pub(crate) fn is_asked(&self) -> bool {
        self.depth.is_some() || self.since.is_some() || !self.not.is_empty()
    }
}

/// What changes for the client.
#[derive(Default)]
pub(crate) struct Boundary {
    pub shallow: Vec<Oid>,
    pub unshallow: Vec<Oid>,
    /// Parents that the client lacked and now gets.
    pub wants: Vec<Oid>,
    /// Commits where walks end.
    pub cut: HashSet<Oid>,
}

pub(crate) fn boundary(objects: &Objects, wants: &[Oid], client: &HashSet<Oid>, deepen: &Deepen) -> Result<Boundary> {
    let mut answer = Boundary { cut: client.clone(), ..Boundary::default() };
    if !deepen.is_asked() {
        return Ok(answer);
    }
    let mut heads = Vec::new();
    for want in wants {
        let (kind, oid) = objects.peel(want)?;
        if kind == Kind::Commit {
            heads.push(oid);
        }
    }
    let within = match deepen.depth {
        Some(depth) => by_depth(objects, heads, client, depth, deepen.relative)?,
        None => by_limit(objects, heads, deepen)?,
    };
    for (oid, is_edge) in &within {
        match (*is_edge, client.contains(oid)) {
            (true, false) => {
                answer.shallow.push(*oid);
                answer.cut.insert(*oid);
            }
            (false, true) => {
                answer.unshallow.push(*oid);
                answer.wants.extend(objects.commit_links(oid)?.parents);
                // What the client had ends here: its parents are sent because they are wanted.
            }
            _ => {}
        }
    }
    answer.shallow.sort_unstable();
    answer.unshallow.sort_unstable();
    Ok(answer)
}

/// Commits within `depth` of the heads; `true` for those at the edge.
fn by_depth(
    objects: &Objects,
    heads: Vec<Oid>,
    client: &HashSet<Oid>,
    depth: u64,
    relative: bool,
) -> Result<HashMap<Oid, bool>> {
    let (starts, depth) = if relative && !client.is_empty() {
        let mut known = Vec::new();
        for oid in client {
            if objects.header(oid)?.is_some_and(|(kind, _)| kind == Kind::Commit) {
                known.push(*oid);
            }
        }
        (known, depth.saturating_add(1))
    } else {
        (heads, depth)
    };
    let mut within: HashMap<Oid, bool> = HashMap::new();
    let mut queue: VecDeque<(Oid, u64)> = starts.into_iter().map(|oid| (oid, 1)).collect();
    while let Some((oid, at)) = queue.pop_front() {
        if within.contains_key(&oid) {
            continue;
        }
        let parents = objects.commit_links(&oid)?.parents;
        // As git does it, also where history begins.
        let is_edge = at >= depth;
        within.insert(oid, is_edge);
        if !is_edge {
            queue.extend(parents.into_iter().map(|parent| (parent, at + 1)));
        }
    }
    Ok(within)
}

/// Commits not older than `since` and not reachable from `not`.
fn by_limit(objects: &Objects, heads: Vec<Oid>, deepen: &Deepen) -> Result<HashMap<Oid, bool>> {
    let mut excluded = HashSet::new();
    let mut stack = Vec::new();
    for oid in &deepen.not {
        stack.push(objects.peel(oid)?.1);
    }
    while let Some(oid) = stack.pop() {
        if excluded.insert(oid) {
            stack.extend(objects.commit_links(&oid)?.parents);
        }
    }
    let mut included: HashMap<Oid, Vec<Oid>> = HashMap::new();
    let mut left_out = HashSet::new();
    stack = heads;
    while let Some(oid) = stack.pop() {
        if included.contains_key(&oid) || left_out.contains(&oid) {
            continue;
        }
        let links = objects.commit_links(&oid)?;
        if excluded.contains(&oid) || deepen.since.is_some_and(|since| links.time < since) {
            left_out.insert(oid);
        } else {
            stack.extend(links.parents.iter().copied());
            included.insert(oid, links.parents);
        }
    }
    if included.is_empty() {
        return Err(Error::Protocol("no commits selected for shallow requests".into()));
    }
    let edge = |parents: &Vec<Oid>| parents.iter().any(|parent| !included.contains_key(parent));
    Ok(included.iter().map(|(oid, parents)| (*oid, edge(parents))).collect())
}
