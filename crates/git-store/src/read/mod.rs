//! Reading for people: revisions, folders, files, history, differences, and a checkout.

mod archive;
mod blame;
mod checkout;
mod compare;
mod diff;
mod files;
mod globs;
mod history;
mod matcher;
mod quote;
mod search;
mod touched;
mod trail;
mod tree;

pub(crate) use archive::{Archive, archive};
pub(crate) use blame::blame;
pub(crate) use checkout::checkout;
pub(crate) use compare::compare;
pub(crate) use diff::diff;
pub(crate) use files::{is_prefix, paths};
pub use globs::Globs;
pub(crate) use history::{commit, log, parse_commit, parse_signature, source_of};
pub(crate) use matcher::is_binary;
pub use matcher::{Matcher, PatternOptions};
pub(crate) use search::search;
pub use search::{SearchPage, SearchQuery};
pub(crate) use touched::touched;
pub(crate) use tree::{existing, file, tree};

use crate::objects::Objects;
use crate::pack::Kind;
use crate::reach::is_reachable;
use crate::record::Snapshot;
use crate::{Error, Oid, RefName, Result, Revision};

pub(crate) fn resolve(objects: &Objects, snapshot: &Snapshot, revision: &Revision) -> Result<Oid> {
    let missing = |what: String| Error::NotFound(format!("revision `{what}`"));
    let by_name = |name: &RefName| snapshot.oid_of(name).filter(|_| !name.is_hidden());
    let (oid, text) = match revision {
        Revision::Head => (by_name(&snapshot.head.to_ref()), "HEAD".to_owned()),
        Revision::Ref(name) => (by_name(name), name.to_string()),
        Revision::Short(short) => {
            let names = ["refs/heads/", "refs/tags/"].map(|prefix| RefName::parse(format!("{prefix}{short}")));
            (names.iter().flatten().find_map(by_name), short.clone())
        }
        Revision::Oid(oid) => (Some(*oid), oid.to_string()),
    };
    let oid = oid.filter(|oid| objects.header(oid).is_ok_and(|header| header.is_some()));
    let oid = oid.ok_or_else(|| missing(text.clone()))?;
    let (kind, commit) = objects.peel(&oid)?;
    if kind != Kind::Commit {
        return Err(missing(text));
    }
    if matches!(revision, Revision::Oid(_)) {
        let tips: Vec<Oid> = snapshot.visible().iter().map(|r| r.peeled.unwrap_or(r.oid)).collect();
        if !is_reachable(objects, &tips, &commit)? {
            return Err(missing(text));
        }
    }
    Ok(commit)
}
