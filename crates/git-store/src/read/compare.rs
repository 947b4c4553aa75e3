//! How far two commits are apart.

use super::diff::diff;
use super::history::log;
use crate::objects::Objects;
use crate::{Comparison, LogQuery, Oid, Result};

/// Commits listed.
const COMMITS_MAX: usize = 250;

/// What `head` has that `base` has not: commits, and the files changed since they parted.
pub(crate) fn compare(objects: &Objects, base: Oid, head: Oid, hunks: bool) -> Result<Comparison> {
    let repository = objects.repository();
    let merge_base = match repository.merge_base(base.into(), head.into()) {
        Ok(oid) => Some(Oid::from(oid)),
        Err(error) if error.code() == git2::ErrorCode::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let (ahead, behind) = repository.graph_ahead_behind(head.into(), base.into())?;
    let query = LogQuery { without: Some(base), limit: COMMITS_MAX, ..LogQuery::of(head) };
    Ok(Comparison {
        base,
        head,
        merge_base,
        ahead,
        behind,
        commits: log(objects, &query)?.commits,
        // Histories that have nothing in common are compared as they are.
        diff: diff(objects, Some(merge_base.unwrap_or(base)), head, hunks)?,
    })
}
