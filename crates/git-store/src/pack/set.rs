//! The packs of a repository as one numbered list of entries.

use std::path::Path;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::PackIndex;
use super::reader::{EntryHeader, Kind, PackFile, Storage};
use crate::cache::RepositoryPacks;
use crate::record::StoredPack;
use crate::{Error, Oid, Result};

/// One pack, and where its numbers begin.
pub(super) struct Member {
    pub file: PackFile,
    pub index: Arc<PackIndex>,
    pub first: u32,
}

impl Member {
    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        self.first..self.first + self.index.len() as u32
    }

    /// Where the base of the entry at `at` begins; `Some(None)` when it has none, `None` when it is not in the index.
    pub(super) fn base_of(&self, at: u64, entry: &EntryHeader) -> Option<Option<u64>> {
        match entry.storage {
            Storage::Whole(_) => Some(None),
            Storage::OnOffset(base) if base < at => Some(Some(base)),
            Storage::OnOffset(_) => None,
            Storage::OnOid(base) => Some(Some(self.index.offset(self.index.find(&base)?))),
        }
    }

    /// Where the entry of this rank (its place in pack order) begins.
    pub(super) fn offset(&self, rank: u32) -> u64 {
        self.index.by_offset().get(rank as usize).map_or(0, |at| self.index.offset(*at as usize))
    }
}

/// The packs of a repository. Each entry has a number: packs one after the other, each in the order of the pack.
/// An object that is in several packs has the number of its first entry.
pub(crate) struct PackSet {
    members: Vec<Member>,
}

impl PackSet {
    pub(crate) fn open(here: &RepositoryPacks, packs: &[StoredPack]) -> Result<Self> {
        Self::open_with(here, None, packs)
    }

    /// As `open`; packs that are not in the cache are in the folder `besides`.
    pub(crate) fn open_with(here: &RepositoryPacks, besides: Option<&Path>, packs: &[StoredPack]) -> Result<Self> {
        let mut members = Vec::with_capacity(packs.len());
        let mut first = 0_u32;
        for pack in packs {
            let beside = besides.map(|folder| folder.join("pack").join(format!("pack-{}.pack", pack.id)));
            let (file, index) = match beside.filter(|path| path.exists()) {
                Some(path) => {
                    let raw = std::fs::read(path.with_extension("idx")).map_err(Error::io("reading a pack index"))?;
                    (PackFile::open(&path)?, Arc::new(PackIndex::parse(raw)?))
                }
                None => (PackFile::open(&here.pack_path(&pack.id))?, here.index(&pack.id)?),
            };
            let next = u32::try_from(index.len()).ok().and_then(|count| first.checked_add(count));
            members.push(Member { file, index, first });
            first = next.ok_or_else(|| Error::TooLarge("a repository of more than 2^32 objects".into()))?;
        }
        Ok(Self { members })
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Numbers in all.
    pub(crate) fn len(&self) -> u32 {
        self.members.last().map_or(0, |member| member.numbers().end)
    }

    pub(crate) fn number(&self, oid: &Oid) -> Option<u32> {
        self.members.iter().find_map(|member| {
            let offset = member.index.offset(member.index.find(oid)?);
            Some(member.first + member.index.rank(offset)? as u32)
        })
    }

    /// The pack that an object is in, and where.
    pub(super) fn locate(&self, oid: &Oid) -> Option<(&Member, u64)> {
        self.members.iter().find_map(|member| Some((member, member.index.offset(member.index.find(oid)?))))
    }

    fn member_of(&self, number: u32) -> Option<&Member> {
        let at = self.members.partition_point(|member| member.first <= number);
        self.members.get(at.checked_sub(1)?).filter(|member| member.numbers().contains(&number))
    }

    pub(crate) fn oid(&self, number: u32) -> Option<Oid> {
        let member = self.member_of(number)?;
        let at = member.index.by_offset().get((number - member.first) as usize)?;
        Some(member.index.oid(*at as usize))
    }

    /// Every object, each by its one number.
    pub(crate) fn everything(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..self.len());
        for (at, member) in self.members.iter().enumerate().skip(1) {
            let earlier = &self.members[..at];
            for rank in 0..member.index.len() {
                let oid = member.index.oid(member.index.by_offset()[rank] as usize);
                if earlier.iter().any(|other| other.index.find(&oid).is_some()) {
                    all.remove(member.first + rank as u32);
                }
            }
        }
        all
    }

    /// The entries of each kind, deltas by what they end at: commits, trees, blobs, tags.
    pub(crate) fn kinds(&self) -> Result<[RoaringBitmap; 4]> {
        let mut kinds: [RoaringBitmap; 4] = Default::default();
        for member in &self.members {
            let mut known: Vec<Option<Kind>> = vec![None; member.index.len()];
            for rank in 0..known.len() {
                let kind = kind_of(member, rank, &mut known)?;
                kinds[usize::from(kind.code() - 1)].insert(member.first + rank as u32);
            }
        }
        Ok(kinds)
    }
}

/// Follows a chain of deltas to its end, and remembers the answer for all of it.
fn kind_of(member: &Member, rank: usize, known: &mut [Option<Kind>]) -> Result<Kind> {
    let corrupt = || Error::Corrupt("a pack index".into());
    let mut chain = Vec::new();
    let mut at = rank;
    let kind = loop {
        if let Some(kind) = known[at] {
            break kind;
        }
        if chain.len() > known.len() {
            return Err(corrupt());
        }
        chain.push(at);
        at = match member.file.entry(member.offset(at as u32))?.storage {
            Storage::Whole(kind) => break kind,
            Storage::OnOffset(base) => member.index.rank(base).ok_or_else(corrupt)?,
            Storage::OnOid(base) => {
                let offset = member.index.offset(member.index.find(&base).ok_or_else(corrupt)?);
                member.index.rank(offset).ok_or_else(corrupt)?
            }
        };
    };
    chain.into_iter().for_each(|at| known[at] = Some(kind));
    Ok(kind)
}
