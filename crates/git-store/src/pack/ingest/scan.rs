//! The first look at a pack: each entry once, in order.

use super::{Entry, Resolver, each_chunk, too_large};
use crate::pack::delta;
use crate::pack::hash::ObjectHash;
use crate::pack::reader::{Kind, PACK_HEADER, Storage};
use crate::{Error, Oid, Result};

impl Resolver<'_, '_> {
    /// Reads every entry once, in order; the answer is where the last one ends.
    pub(super) fn scan(&mut self, count: u32) -> Result<u64> {
        let mut at = PACK_HEADER;
        for index in 0..count as usize {
            let header = self.pack.entry(at)?;
            let limits = self.ingest.limits;
            if header.size > limits.object_bytes {
                return Err(too_large("an object", header.size, limits.object_bytes));
            }
            self.spend(header.size)?;
            let (taken, result, object) = match header.storage {
                Storage::Whole(kind) => {
                    let (taken, oid) = self.scan_whole(kind, header.data_at, header.size)?;
                    (taken, header.size, Some((kind, oid, 0)))
                }
                Storage::OnOffset(base) => {
                    if !self.at_offset.contains_key(&base) {
                        return Err(Error::Unpack("a delta's base is not where it says".into()));
                    }
                    self.on_offset.entry(base).or_default().push(index);
                    let (taken, result) = self.scan_delta(header.data_at, header.size)?;
                    (taken, result, None)
                }
                Storage::OnOid(base) => {
                    self.on_oid.entry(base).or_default().push(index);
                    let (taken, result) = self.scan_delta(header.data_at, header.size)?;
                    (taken, result, None)
                }
            };
            let end = header.data_at + taken;
            let mut crc = flate2::Crc::new();
            each_chunk(&self.pack, at..end, |chunk| crc.update(chunk))?;
            self.at_offset.insert(at, index);
            let (data_at, size, storage) = (header.data_at, header.size, header.storage);
            self.entries.push(Entry { offset: at, data_at, size, result, storage, crc: crc.sum(), object });
            at = end;
        }
        Ok(at)
    }

    fn scan_whole(&mut self, kind: Kind, data_at: u64, size: u64) -> Result<(u64, Oid)> {
        let mut hash = ObjectHash::new(kind, size);
        if kind == Kind::Blob {
            let taken = self.pack.inflate_with(data_at, size, |chunk| hash.update(chunk))?;
            let oid = hash.finish()?;
            self.found(kind, oid, self.entries.len(), &[])?;
            return Ok((taken, oid));
        }
        self.meta_limit(kind, size)?;
        let (bytes, taken) = self.pack.inflate(data_at, size)?;
        hash.update(&bytes);
        let oid = hash.finish()?;
        self.found(kind, oid, self.entries.len(), &bytes)?;
        Ok((taken, oid))
    }

    /// Checks what a delta declares before its result is made.
    fn scan_delta(&mut self, data_at: u64, size: u64) -> Result<(u64, u64)> {
        let mut head = Vec::with_capacity(24);
        let taken = self.pack.inflate_with(data_at, size, |chunk| {
            head.extend_from_slice(&chunk[..chunk.len().min(24 - head.len())]);
        })?;
        let (base, result) = delta::sizes(&head)?;
        let limit = self.ingest.limits.object_bytes;
        if base > limit || result > limit {
            return Err(too_large("an object", base.max(result), limit));
        }
        Ok((taken, result))
    }
}
