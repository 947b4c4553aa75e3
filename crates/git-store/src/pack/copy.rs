//! A pack for a client, copied from stored packs.

use roaring::RoaringBitmap;
use sha1::{Digest, Sha1};

use super::reader::{EntryHeader, PACK_HEADER, PACK_TRAILER, PackFile, Storage, write_distance, write_type_and_size};
use super::set::{Member, PackSet};
use super::write::{pack_header, whole_entry};
use crate::objects::Objects;
use crate::{Error, Oid, Result};

const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;
/// Read from a stored pack at a time (bytes).
const WINDOW: usize = 64 * 1024;

/// How a pack is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Deltas may name their base by its distance.
    pub offsets: bool,
    /// Deltas may have their base on the client's side.
    pub thin: bool,
}

/// What a pack is to hold, and what whoever gets it has; by the numbers of the pack set.
#[derive(Default)]
pub(crate) struct Chosen {
    pub send: RoaringBitmap,
    pub known: RoaringBitmap,
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
}

/// A stored pack read from front to back, in pieces.
struct Window<'a> {
    file: &'a PackFile,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn over(file: &'a PackFile) -> Self {
        Self { file, start: 0, bytes: Vec::new() }
    }

    /// The bytes from `at`: at least one, as many as are at hand.
    fn from(&mut self, at: u64) -> Result<&[u8]> {
        if at < self.start || at >= self.start + self.bytes.len() as u64 {
            self.file.read_into(at, WINDOW, &mut self.bytes)?;
            self.start = at;
            if self.bytes.is_empty() {
                return Err(Error::Corrupt("a pack".into()));
            }
        }
        Ok(&self.bytes[(at - self.start) as usize..])
    }

    fn entry(&mut self, offset: u64) -> Result<EntryHeader> {
        let near = self.from(offset)?;
        match PackFile::header_in(near, offset) {
            Some(header) => Ok(header),
            // It may be cut by the window's end.
            None => self.file.entry(offset),
        }
    }

    fn copy(&mut self, range: std::ops::Range<u64>, out: &mut Output<'_>) -> Result<()> {
        let mut at = range.start;
        while at < range.end {
            let left = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let near = self.from(at)?;
            let near = &near[..near.len().min(left)];
            out.put(near)?;
            at += near.len() as u64;
        }
        Ok(())
    }
}

/// Writes a pack of what is chosen: stored packs as they are where all of one is sent, otherwise entry by entry.
/// Nothing that is deflated already is deflated again, but for a delta whose base stays behind.
pub(crate) fn write_pack(
    set: &PackSet,
    objects: &Objects,
    chosen: &Chosen,
    plan: Plan,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let count = u32::try_from(chosen.send.len()).map_err(|_| Error::TooLarge("too many objects".into()))?;
    if let Some(member) = set.members().iter().find(|member| plan.offsets && is_all(member, &chosen.send)) {
        return copy_whole(&member.file, sink);
    }
    let mut out = Output { sink, hash: Sha1::new(), at: 0 };
    out.put(&pack_header(count))?;
    for member in set.members() {
        let numbers = member.numbers();
        let sent = chosen.send.range_cardinality(numbers.clone());
        if sent == 0 {
            continue;
        }
        let mut window = Window::over(&member.file);
        if sent == numbers.len() as u64 && plan.offsets {
            // Distances between the entries of a pack stay what they are.
            window.copy(PACK_HEADER..member.file.len() - PACK_TRAILER, &mut out)?;
            continue;
        }
        let written = vec![0; numbers.len()];
        let mut writer = Writer { set, objects, chosen, plan, member, window, written };
        for number in chosen.send.range(numbers) {
            writer.entry(&mut out, number - member.first)?;
        }
    }
    let checksum = out.hash.clone().finalize();
    out.put(&checksum)
}

/// Whether all of a pack is sent, and nothing else.
fn is_all(member: &Member, send: &RoaringBitmap) -> bool {
    let count = member.index.len() as u64;
    send.len() == count && send.range_cardinality(member.numbers()) == count
}

/// The pack with its own checksum: what is read from the cache was compared with its digest when it came there.
fn copy_whole(file: &PackFile, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut window = Window::over(file);
    let mut at = 0;
    while at < file.len() {
        let near = window.from(at)?;
        at += near.len() as u64;
        sink(near)?;
    }
    Ok(())
}

struct Writer<'a> {
    set: &'a PackSet,
    objects: &'a Objects,
    chosen: &'a Chosen,
    plan: Plan,
    member: &'a Member,
    window: Window<'a>,
    /// Where each entry of this pack went, by rank; zero when it was not written.
    written: Vec<u64>,
}

impl Writer<'_> {
    fn entry(&mut self, out: &mut Output<'_>, rank: u32) -> Result<()> {
        let corrupt = || Error::Corrupt("a pack index".into());
        let (offset, start) = (self.member.offset(rank), out.at);
        let header = self.window.entry(offset)?;
        let last = rank as usize + 1 == self.written.len();
        let end = if last { self.member.file.len() - PACK_TRAILER } else { self.member.offset(rank + 1) };
        let base = match header.storage {
            Storage::Whole(_) => None,
            Storage::OnOffset(base) => Some(self.member.index.rank(base).ok_or_else(corrupt)?),
            Storage::OnOid(base) => {
                let at = self.member.index.find(&base).ok_or_else(corrupt)?;
                Some(self.member.index.rank(self.member.index.offset(at)).ok_or_else(corrupt)?)
            }
        };
        match base {
            None => self.window.copy(offset..end, out)?,
            Some(base) => match self.delta_header(start, base, header.size) {
                Some(head) => {
                    out.put(&head)?;
                    self.window.copy(header.data_at..end, out)?;
                }
                None => {
                    let (kind, bytes) = self.objects.read(&self.oid(rank as usize))?;
                    out.put(&whole_entry(kind, &bytes)?)?;
                }
            },
        }
        self.written[rank as usize] = start;
        Ok(())
    }

    fn oid(&self, rank: usize) -> Oid {
        self.member.index.oid(self.member.index.by_offset()[rank] as usize)
    }

    /// The header of a delta that can stay one: its base is sent from the same pack (so that no two packs can
    /// make a circle), or is on the client's side.
    fn delta_header(&self, start: u64, base: usize, size: u64) -> Option<Vec<u8>> {
        let mut head = Vec::with_capacity(32);
        if self.chosen.send.contains(self.member.first + base as u32) {
            let base_at = self.written[base];
            if self.plan.offsets && base_at > 0 {
                write_type_and_size(&mut head, OFS_DELTA, size);
                write_distance(&mut head, start - base_at);
                return Some(head);
            }
        } else {
            let number = self.set.number(&self.oid(base))?;
            if self.chosen.send.contains(number) || !self.plan.thin || !self.chosen.known.contains(number) {
                return None;
            }
        }
        write_type_and_size(&mut head, REF_DELTA, size);
        head.extend_from_slice(self.oid(base).as_bytes());
        Some(head)
    }
}
