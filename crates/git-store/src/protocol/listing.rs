//! Answers of one piece: refs, sizes of objects, bundles (gitprotocol-v2, "ls-refs", "object-info", "bundle-uri").

use std::time::Duration;

use bytes::Bytes;
use cloud::PresignGet;

use super::advertise::head_oid;
use super::pktline;
use super::request::LsRefs;
use super::upload::{Source, check_wants};
use crate::http::{Bundle, Offers};
use crate::record::{Snapshot, blob_key};
use crate::store::GitStore;
use crate::{Error, Oid, Ref, RepositoryId, Result};

/// Prefixes in order, none of which begins with another: a name has to be held against one alone.
struct Prefixes<'a>(Vec<&'a str>);

impl<'a> Prefixes<'a> {
    fn of(asked: &'a [String]) -> Self {
        let mut all: Vec<&str> = asked.iter().map(String::as_str).collect();
        all.sort_unstable();
        all.dedup_by(|later, kept| later.starts_with(*kept));
        Self(all)
    }

    /// Whether one of them begins `name`, or there are none.
    fn take(&self, name: &str) -> bool {
        let before = self.0.partition_point(|prefix| *prefix <= name);
        self.0.is_empty() || before.checked_sub(1).is_some_and(|at| name.starts_with(self.0[at]))
    }
}

pub(super) fn ls_refs(snapshot: &Snapshot, asked: &LsRefs) -> Bytes {
    let mut out = Vec::new();
    let prefixes = Prefixes::of(&asked.prefixes);
    let matches = |name: &str| prefixes.take(name);
    if matches("HEAD") {
        let target = snapshot.head.to_ref();
        let symref = if asked.symrefs { format!(" symref-target:{target}") } else { String::new() };
        match head_oid(snapshot) {
            Some(oid) => pktline::line(&mut out, &format!("{oid} HEAD{symref}")),
            None if asked.unborn => pktline::line(&mut out, &format!("unborn HEAD{symref}")),
            None => {}
        }
    }
    for Ref { name, oid, peeled } in snapshot.visible() {
        if matches(name.as_str()) {
            let peeled = peeled.filter(|_| asked.peel).map(|peeled| format!(" peeled:{peeled}")).unwrap_or_default();
            pktline::line(&mut out, &format!("{oid} {name}{peeled}"));
        }
    }
    pktline::flush(&mut out);
    out.into()
}

/// The size of each object, as far as a visible ref leads to it.
pub(super) fn object_info(source: &Source, oids: &[Oid], offers: &Offers) -> Result<Bytes> {
    check_wants(source, oids, offers)?;
    let mut out = Vec::new();
    if !oids.is_empty() {
        pktline::line(&mut out, "size");
    }
    for oid in oids {
        let (_, size) = source.objects.header(oid)?.ok_or_else(|| Error::NotFound(format!("object {oid}")))?;
        pktline::line(&mut out, &format!("{oid} {size}"));
    }
    pktline::flush(&mut out);
    Ok(out.into())
}

/// How long a clone may take to begin with its bundle. What was replaced is kept for as long.
const BUNDLE_FOR: Duration = Duration::from_secs(3600);

impl GitStore {
    /// What a clone may begin with: what is offered to all repositories, otherwise the bundle that compaction stored.
    pub(super) async fn bundles(&self, id: &RepositoryId, snapshot: &Snapshot) -> Result<Vec<Bundle>> {
        if let Some(offered) = &self.offers().bundles {
            return Ok(offered.clone());
        }
        let Some(stored) = &snapshot.contents.bundle else { return Ok(Vec::new()) };
        let key = blob_key(id, &stored.blob.name)?;
        let what = PresignGet { expires_in: BUNDLE_FOR, disposition: None, content_type: None };
        match self.settings().blobs.presign_get(&key, what).await {
            Ok(address) => Ok(vec![Bundle { id: "clone".into(), uri: address.url, creation_token: None }]),
            Err(error) => {
                // Without one a clone is a fetch of everything.
                tracing::warn!(%error, repository = %id, "offering a bundle");
                Ok(Vec::new())
            }
        }
    }
}

/// Where the bundles of a clone are.
pub(super) fn bundle_list(bundles: &[Bundle]) -> Bytes {
    let mut out = Vec::new();
    if !bundles.is_empty() {
        pktline::line(&mut out, "bundle.version=1");
        pktline::line(&mut out, "bundle.mode=all");
    }
    for bundle in bundles {
        pktline::line(&mut out, &format!("bundle.{}.uri={}", bundle.id, bundle.uri));
        if let Some(token) = bundle.creation_token {
            pktline::line(&mut out, &format!("bundle.{}.creationToken={token}", bundle.id));
        }
    }
    pktline::flush(&mut out);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_when_any_prefix_begins_it() {
        let all = ["refs/heads/b", "refs/heads/", "refs/tags/v1", "HEAD", "refs/tags/v1.0", ""];
        let names =
            ["HEAD", "HEADS", "refs/heads/a", "refs/heads/b", "refs/tags/v1", "refs/tags/v2", "a", "refs/tags/v"];
        for chosen in 0..1_u32 << all.len() {
            let some = |at: &usize| chosen & (1 << at) != 0;
            let asked: Vec<String> = (0..all.len()).filter(some).map(|at| all[at].to_owned()).collect();
            for name in names {
                let wanted = asked.is_empty() || asked.iter().any(|prefix| name.starts_with(prefix.as_str()));
                assert_eq!(Prefixes::of(&asked).take(name), wanted, "{name} of {asked:?}");
            }
        }
    }
}
