//! The first look at a pack: each byte once, in order, as it arrives.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};
use sha1::{Digest, Sha1};

use super::{BASE_BY_OID, CheckObject, Entry, NO_BASE, Named, Scanned, Waiting, check_meta, spend_on_check, too_large};
use crate::pack::delta;
use crate::pack::hash::ObjectHash;
use crate::pack::reader::{HEADER_MAX, Kind, PACK_HEADER, PACK_TRAILER, PackFile, Storage};
use crate::pack::{PackLimits, Work};
use crate::{Error, Oid, Result};

/// Read at a time (bytes).
const WINDOW: usize = 128 * 1024;
/// Inflated at a time (bytes).
const PIECE: usize = 32 * 1024;
/// A delta begins with two sizes of at most ten bytes.
const DELTA_HEAD: usize = 24;

/// Reads a pack to its end. Whole objects are hashed and checked; deltas are measured.
pub(crate) fn scan(limits: PackLimits, source: &mut dyn Read, check: &CheckObject<'_>) -> Result<Scanned> {
    let mut feed =
        Feed { source, window: vec![0; WINDOW], start: 0, end: 0, at: 0, hash: Sha1::new(), crc: Crc::new() };
    let count = read_count(&mut feed)?;
    if count > limits.objects {
        return Err(Error::TooLarge(format!("the pack has {count} objects, the limit is {}", limits.objects)));
    }
    let work = Work::new(limits);
    let inflater = Inflater { zlib: Decompress::new(true), piece: vec![0; PIECE] };
    let mut scan = Scan {
        feed,
        inflater,
        limits,
        work,
        check,
        entries: Vec::new(),
        named: Vec::new(),
        on_oid: HashMap::new(),
        meta: Vec::new(),
    };
    (0..count).try_for_each(|place| scan.entry(place))?;
    let end = scan.feed.at;
    scan.work.has_arrived(end);
    let checksum = scan.feed.trailer()?;
    if scan.feed.at > limits.pack_bytes {
        return Err(too_large("the pack", scan.feed.at, limits.pack_bytes));
    }
    Ok(Scanned { entries: scan.entries, named: scan.named, on_oid: scan.on_oid, end, checksum, work: scan.work })
}

fn cut() -> Error {
    Error::Unpack("the pack is cut short, or is no pack".into())
}

fn bad_entry() -> Error {
    Error::Unpack("a pack entry does not inflate to the size it declares".into())
}

fn read_count(feed: &mut Feed<'_>) -> Result<u32> {
    let head = *feed.at_least(PACK_HEADER as usize)?.first_chunk::<12>().ok_or_else(cut)?;
    let version = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    if &head[..4] != b"PACK" || !matches!(version, 2 | 3) {
        return Err(cut());
    }
    feed.consume(head.len());
    Ok(u32::from_be_bytes([head[8], head[9], head[10], head[11]]))
}

/// What has arrived and is not looked at yet. Sums what is consumed.
struct Feed<'a> {
    source: &'a mut dyn Read,
    window: Vec<u8>,
    start: usize,
    end: usize,
    /// The place of `start` in the pack.
    at: u64,
    hash: Sha1,
    crc: Crc,
}

impl Feed<'_> {
    /// As much as is at hand; empty at the end.
    fn some(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.more()?;
        }
        Ok(&self.window[self.start..self.end])
    }

    /// `n` bytes or more; fewer only at the end.
    fn at_least(&mut self, n: usize) -> Result<&[u8]> {
        if self.end - self.start < n {
            self.window.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            while self.end < n && self.more()? {}
        }
        Ok(&self.window[self.start..self.end])
    }

    fn more(&mut self) -> Result<bool> {
        loop {
            match self.source.read(&mut self.window[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    return Ok(n > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("reading a pack")(error)),
            }
        }
    }

    fn consume(&mut self, n: usize) {
        let taken = &self.window[self.start..self.start + n];
        self.hash.update(taken);
        self.crc.update(taken);
        self.start += n;
        self.at += n as u64;
    }

    /// The checksum, which must be that of all before it, and the last there is.
    fn trailer(&mut self) -> Result<[u8; 20]> {
        let rest = self.at_least(PACK_TRAILER as usize + 1)?;
        if rest.len() as u64 != PACK_TRAILER {
            return Err(Error::Unpack("the pack has bytes after its last object, or is cut short".into()));
        }
        let mut stored = [0; PACK_TRAILER as usize];
        stored.copy_from_slice(rest);
        self.at += PACK_TRAILER;
        if <[u8; 20]>::from(self.hash.clone().finalize()) != stored {
            return Err(Error::Unpack("the pack's checksum is wrong".into()));
        }
        Ok(stored)
    }
}

struct Inflater {
    zlib: Decompress,
    piece: Vec<u8>,
}

impl Inflater {
    /// Inflates exactly `size` bytes, and hands them on as they come.
    fn run(&mut self, feed: &mut Feed<'_>, size: u64, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        self.zlib.reset(true);
        loop {
            let near = feed.some()?;
            if near.is_empty() {
                return Err(cut());
            }
            let (read, made) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self.zlib.decompress(near, &mut self.piece, FlushDecompress::None).map_err(|_| bad_entry())?;
            let (taken, new) = ((self.zlib.total_in() - read) as usize, (self.zlib.total_out() - made) as usize);
            if self.zlib.total_out() > size {
                return Err(bad_entry());
            }
            sink(&self.piece[..new]);
            feed.consume(taken);
            match status {
                Status::StreamEnd if self.zlib.total_out() == size => return Ok(()),
                Status::StreamEnd => return Err(bad_entry()),
                _ if taken == 0 && new == 0 => return Err(bad_entry()),
                _ => {}
            }
        }
    }
}

struct Scan<'a> {
    feed: Feed<'a>,
    inflater: Inflater,
    limits: PackLimits,
    work: Work,
    check: &'a CheckObject<'a>,
    entries: Vec<Entry>,
    named: Vec<Option<Named>>,
    on_oid: Waiting,
    /// The bytes of a commit, tree or tag.
    meta: Vec<u8>,
}

impl Scan<'_> {
    fn entry(&mut self, place: u32) -> Result<()> {
        let offset = self.feed.at;
        let near = self.feed.at_least(HEADER_MAX)?;
        let header = PackFile::header_in(near, offset);
        let header = header.ok_or_else(|| Error::Unpack("a pack entry has a bad header".into()))?;
        if header.size > self.limits.object_bytes {
            return Err(too_large("an object", header.size, self.limits.object_bytes));
        }
        self.work.has_arrived(offset);
        self.work.spend(header.size)?;
        self.feed.crc.reset();
        self.feed.consume((header.data_at - offset) as usize);
        let (base, named) = match header.storage {
            Storage::Whole(kind) => {
                let oid = self.whole(kind, header.size)?;
                (NO_BASE, Some(Named { oid, kind, depth: 0 }))
            }
            Storage::OnOffset(base) => {
                let base = self.entries.binary_search_by_key(&base, |entry| entry.offset);
                let base = base.map_err(|_| Error::Unpack("a delta's base is not where it says".into()))?;
                self.delta(header.size)?;
                (base as u32, None)
            }
            Storage::OnOid(base) => {
                self.on_oid.entry(base).or_default().push(place);
                self.delta(header.size)?;
                (BASE_BY_OID, None)
            }
        };
        self.entries.push(Entry { offset, crc: self.feed.crc.sum(), base });
        self.named.push(named);
        Ok(())
    }

    fn whole(&mut self, kind: Kind, size: u64) -> Result<Oid> {
        check_meta(&self.limits, kind, size)?;
        spend_on_check(&self.work, kind, size)?;
        let mut hash = ObjectHash::new(kind, size);
        self.meta.clear();
        let meta = &mut self.meta;
        self.inflater.run(&mut self.feed, size, &mut |bytes| {
            hash.update(bytes);
            if kind != Kind::Blob {
                meta.extend_from_slice(bytes);
            }
        })?;
        let oid = hash.finish()?;
        (self.check)(kind, &oid, &self.meta)?;
        Ok(oid)
    }

    /// Checks what a delta declares before its result is made.
    fn delta(&mut self, size: u64) -> Result<()> {
        let mut head = Vec::with_capacity(DELTA_HEAD);
        self.inflater.run(&mut self.feed, size, &mut |bytes| {
            head.extend_from_slice(&bytes[..bytes.len().min(DELTA_HEAD - head.len())]);
        })?;
        let (base, result) = delta::sizes(&head)?;
        let limit = self.limits.object_bytes;
        if base > limit || result > limit {
            return Err(too_large("an object", base.max(result), limit));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::{PACK_LIMITS, PackWriter};

    /// Gives a few bytes at a time.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            let n = (self.1 % 7 + 1).min(buffer.len()).min(self.0.len());
            let (now, rest) = self.0.split_at(n);
            buffer[..n].copy_from_slice(now);
            self.0 = rest;
            Ok(n)
        }
    }

    fn pack() -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = PackWriter::default();
        for n in 0..300_u32 {
            let noise: Vec<u8> = (0..n * 9).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            writer.add(Kind::Blob, &noise).unwrap();
        }
        writer.finish(&dir.path().join("pack")).unwrap();
        std::fs::read(dir.path().join("pack")).unwrap()
    }

    fn scanned(bytes: &[u8]) -> Result<Vec<(u64, u32, Oid)>> {
        let scanned = scan(PACK_LIMITS, &mut Trickle(bytes, 0), &|_, _, _| Ok(()))?;
        let pairs = scanned.entries.iter().zip(&scanned.named);
        Ok(pairs.map(|(entry, named)| (entry.offset, entry.crc, named.unwrap().oid)).collect())
    }

    #[test]
    fn a_pack_that_trickles_in_is_the_same_pack() {
        let bytes = pack();
        let mut at_once = bytes.as_slice();
        let whole = scan(PACK_LIMITS, &mut at_once, &|_, _, _| Ok(())).unwrap();
        let whole: Vec<_> =
            whole.entries.iter().zip(&whole.named).map(|(e, n)| (e.offset, e.crc, n.unwrap().oid)).collect();
        assert_eq!(whole.len(), 300);
        assert_eq!(scanned(&bytes).unwrap(), whole);
        assert!(scanned(&[bytes.as_slice(), b"x"].concat()).is_err(), "a byte after the checksum");
        for end in [0, 5, 11, 12, 40, bytes.len() / 2, bytes.len() - 21, bytes.len() - 1] {
            assert!(scanned(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn whatever_byte_is_changed_is_noticed() {
        let bytes = pack();
        for at in (0..bytes.len()).step_by(997).chain(bytes.len() - 20..bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            assert!(scanned(&changed).is_err(), "at {at}");
        }
    }
}
