//! A pack that arrives: bounded, hashed, resolved, completed and indexed.
//!
//! Each byte is looked at once while the pack comes in ([`scan`]); what is a delta is resolved afterwards, by as many
//! threads as there are processors ([`Scanned::resolve`]).

mod complete;
mod resolve;
mod scan;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::content::Content;
use super::index::{Listed, write_index};
use super::reader::{Kind, PackFile};
use super::{PackLimits, Work};
use crate::asker::Asker;
use crate::{Error, Oid, Result};
use complete::seal;
pub(crate) use scan::scan;

/// Finds an object of the repository that a thin pack leaves out.
pub(crate) type FindBase<'a> = dyn Fn(&Oid, &Work) -> Result<Option<(Kind, Content)>> + 'a;
/// Called for each object, by several threads; with its bytes, unless it is a blob.
pub(crate) type CheckObject<'a> = dyn Fn(Kind, &Oid, &[u8]) -> Result<()> + Sync + 'a;

/// What an entry is a delta on.
const NO_BASE: u32 = u32::MAX;
const BASE_BY_OID: u32 = u32::MAX - 1;

/// One entry, in the order of the pack. Small: there may be a million.
#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    crc: u32,
    /// The place of the entry that it is a delta on, [`NO_BASE`] or [`BASE_BY_OID`].
    base: u32,
}

/// What an entry was found to be.
#[derive(Clone, Copy)]
struct Named {
    oid: Oid,
    kind: Kind,
    /// Deltas on deltas.
    depth: u16,
}

/// Entries that wait for an object, by its id.
type Waiting = HashMap<Oid, Vec<u32>>;

/// A pack that has arrived whole, with a right checksum; its deltas are not resolved.
pub(crate) struct Scanned {
    entries: Vec<Entry>,
    named: Vec<Option<Named>>,
    on_oid: Waiting,
    /// Where the last entry ends.
    end: u64,
    checksum: [u8; 20],
    work: Work,
}

/// A pack that stands alone, and its index.
pub(crate) struct Ingested {
    pub index: Vec<u8>,
    named: Vec<Named>,
    /// Places in `named`, by id.
    order: Vec<u32>,
}

impl Ingested {
    pub(crate) fn len(&self) -> usize {
        self.named.len()
    }

    /// The type of an object, when the pack holds it.
    pub(crate) fn kind_of(&self, oid: &Oid) -> Option<Kind> {
        let at = self.order.binary_search_by_key(oid, |at| self.named[*at as usize].oid).ok()?;
        Some(self.named[self.order[at] as usize].kind)
    }
}

/// Takes in a pack that lies at `path` already, and leaves out nothing.
pub(crate) fn ingest(limits: PackLimits, path: &Path, check: &CheckObject<'_>) -> Result<Ingested> {
    let mut file = std::fs::File::open(path).map_err(Error::io("opening a pack"))?;
    scan(limits, &mut file, check)?.resolve(path, &|_, _| Ok(None), check, Asker::default())
}

impl Scanned {
    /// Resolves the deltas of the pack, which lies at `path` and may be made longer by the bases it leaves out, for as
    /// long as `asker` waits.
    pub(crate) fn resolve(
        mut self,
        path: &Path,
        base: &FindBase<'_>,
        check: &CheckObject<'_>,
        asker: Asker,
    ) -> Result<Ingested> {
        self.work.go_on(path.parent().unwrap_or(path), asker);
        let waiting = Mutex::new(std::mem::take(&mut self.on_oid));
        self.resolve_whole(&PackFile::open(path)?, &waiting, check)?;
        let sent = self.entries.len();
        self.complete(path, &waiting, base, check)?;
        let left = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(oid) = left.keys().next() {
            return Err(Error::Unpack(format!("the base {oid} of a delta is missing")));
        }
        let without = || Error::Unpack("the pack has deltas without a base".into());
        let named = self.named.into_iter().collect::<Option<Vec<_>>>().ok_or_else(without)?;
        let mut order: Vec<u32> = (0..named.len() as u32).collect();
        order.sort_unstable_by_key(|at| named[*at as usize].oid);
        let oid = |at: &u32| named[*at as usize].oid;
        if let Some(pair) = order.windows(2).find(|pair| oid(&pair[0]) == oid(&pair[1])) {
            return Err(Error::Unpack(format!("the pack holds object {} twice", oid(&pair[0]))));
        }
        if named.len() > sent {
            self.checksum = seal(path, self.end, named.len())?;
        }
        let listed = |at: usize| {
            let at = order[at] as usize;
            Listed { oid: named[at].oid, crc: self.entries[at].crc, offset: self.entries[at].offset }
        };
        let index = write_index(order.len(), listed, &self.checksum);
        Ok(Ingested { index, named, order })
    }
}

/// What it costs to look at a byte of a tree, besides inflating and hashing it.
const TREE_CHECK_WORK: u64 = 1;

/// What looking at an object costs besides.
fn spend_on_check(work: &Work, kind: Kind, size: u64) -> Result<()> {
    if kind == Kind::Tree { work.spend(TREE_CHECK_WORK * size) } else { Ok(()) }
}

fn too_large(what: &str, actual: u64, limit: u64) -> Error {
    Error::TooLarge(format!("{what} is {actual} bytes, the limit is {limit} bytes"))
}

/// What is no blob has a lower limit.
fn check_meta(limits: &PackLimits, kind: Kind, size: u64) -> Result<()> {
    if kind != Kind::Blob && size > limits.meta_bytes {
        Err(too_large(kind.name(), size, limits.meta_bytes))
    } else {
        Ok(())
    }
}
