//! A pack for a client, copied from stored packs entry by entry.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::PackIndex;
use super::reader::{PACK_TRAILER, PackFile, Storage, write_distance, write_type_and_size};
use super::write::{pack_header, whole_entry};
use crate::cache::RepositoryPacks;
use crate::objects::Objects;
use crate::record::StoredPack;
use crate::walk::Selection;
use crate::{Error, Oid, Result};

const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// The packs of a repository, to be copied from.
pub(crate) struct PackSet {
    packs: Vec<(PackFile, Arc<PackIndex>)>,
}

impl PackSet {
    pub(crate) fn open(here: &RepositoryPacks, packs: &[StoredPack]) -> Result<Self> {
        let open = |pack: &StoredPack| Ok((PackFile::open(&here.pack_path(&pack.id))?, here.index(&pack.id)?));
        Ok(Self { packs: packs.iter().map(open).collect::<Result<_>>()? })
    }

    /// The pack an object is in, and where.
    fn locate(&self, oid: &Oid) -> Option<(usize, u64)> {
        let found = |(at, (_, index)): (usize, &(PackFile, Arc<PackIndex>))| Some((at, index.offset(index.find(oid)?)));
        self.packs.iter().enumerate().find_map(found)
    }

    /// All objects of all packs, each once.
    pub(crate) fn everything(&self) -> Selection {
        let mut all = Selection::default();
        for (_, index) in &self.packs {
            for oid in (0..index.len()).map(|at| index.oid(at)) {
                if all.selected.insert(oid) {
                    all.oids.push(oid);
                }
            }
        }
        all
    }
}

/// How a pack is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Deltas may name their base by its distance.
    pub offsets: bool,
    /// Deltas may have their base on the client's side.
    pub thin: bool,
}

struct Output<'a> {
    sink: &'a mut dyn FnMut(&[u8]) -> Result<()>,
    hash: Sha1,
    at: u64,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        (self.sink)(bytes)
    }

    fn copy(&mut self, pack: &PackFile, range: std::ops::Range<u64>) -> Result<()> {
        let mut cursor = pack.cursor(range.start);
        let mut left = range.end.saturating_sub(range.start);
        while left > 0 {
            let chunk = cursor.fill_buf().map_err(Error::io("copying a pack"))?;
            let n = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if n == 0 {
                return Err(Error::Corrupt("a pack".into()));
            }
            self.put(&chunk[..n])?;
            cursor.consume(n);
            left -= n as u64;
        }
        Ok(())
    }
}

/// Writes a pack of the selection.
pub(crate) fn write_pack(
    set: &PackSet,
    objects: &Objects,
    selection: &Selection,
    plan: Plan,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let missing = |oid: &Oid| Error::Corrupt(format!("object {oid}, which is in no pack,"));
    let mut places = Vec::with_capacity(selection.oids.len());
    for oid in &selection.oids {
        places.push((set.locate(oid).ok_or_else(|| missing(oid))?, *oid));
    }
    places.sort_unstable();
    let count = u32::try_from(places.len()).map_err(|_| Error::TooLarge("too many objects".into()))?;
    let mut out = Output { sink, hash: Sha1::new(), at: 0 };
    if let [(pack, index)] = set.packs.as_slice()
        && index.len() == places.len()
        && plan.offsets
    {
        // Everything that is stored is asked for: the stored pack is the answer.
        return out.copy(pack, 0..pack.len());
    }
    out.put(&pack_header(count))?;
    let mut writer = Writer { set, objects, selection, plan, written: HashMap::with_capacity(places.len()) };
    for ((pack, offset), oid) in places {
        writer.entry(&mut out, pack, offset, oid)?;
    }
    let checksum = out.hash.clone().finalize();
    out.put(&checksum)
}

struct Writer<'a> {
    set: &'a PackSet,
    objects: &'a Objects,
    selection: &'a Selection,
    plan: Plan,
    /// Where each stored entry went.
    written: HashMap<(usize, u64), u64>,
}

impl Writer<'_> {
    fn entry(&mut self, out: &mut Output<'_>, pack: usize, offset: u64, oid: Oid) -> Result<()> {
        let (file, index) = &self.set.packs[pack];
        let corrupt = || Error::Corrupt("a pack index".into());
        let start = out.at;
        let header = file.entry(offset)?;
        let rank = index.rank(offset).ok_or_else(corrupt)?;
        let next = index.by_offset().get(rank + 1).map(|at| index.offset(*at as usize));
        let end = next.unwrap_or(file.len() - PACK_TRAILER);
        let base = match header.storage {
            Storage::Whole(_) => None,
            Storage::OnOffset(base) => {
                let at = index.by_offset()[index.rank(base).ok_or_else(corrupt)?];
                Some((base, index.oid(at as usize)))
            }
            Storage::OnOid(base) => Some((index.offset(index.find(&base).ok_or_else(corrupt)?), base)),
        };
        match base {
            None => out.copy(file, offset..end)?,
            Some((base, base_oid)) => match self.delta_header(start, pack, base, base_oid, header.size) {
                Some(head) => {
                    out.put(&head)?;
                    out.copy(file, header.data_at..end)?;
                }
                None => {
                    let (kind, bytes) = self.objects.read(&oid)?;
                    out.put(&whole_entry(kind, &bytes)?)?;
                }
            },
        }
        self.written.insert((pack, offset), start);
        Ok(())
    }

    /// The header of a delta that can stay one: its base is sent from the same pack (so that no two packs can
    /// make a circle), or is on the client's side.
    fn delta_header(&self, start: u64, pack: usize, base: u64, base_oid: Oid, size: u64) -> Option<Vec<u8>> {
        let mut head = Vec::with_capacity(32);
        let sent = self.selection.selected.contains(&base_oid);
        if sent && self.set.locate(&base_oid) != Some((pack, base)) {
            return None;
        }
        let had = self.plan.thin && self.selection.known.contains(&base_oid);
        if !sent && !had {
            return None;
        }
        match self.written.get(&(pack, base)) {
            Some(base_at) if sent && self.plan.offsets => {
                write_type_and_size(&mut head, OFS_DELTA, size);
                write_distance(&mut head, start - base_at);
            }
            _ => {
                write_type_and_size(&mut head, REF_DELTA, size);
                head.extend_from_slice(base_oid.as_bytes());
            }
        }
        Some(head)
    }
}
