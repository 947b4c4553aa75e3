//! A pack that arrives: bounded, hashed, resolved, completed and indexed.

use std::collections::{HashMap, VecDeque};
use std::fs::OpenOptions;
use std::io::{BufRead, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::index::{Listed, write_index};
use super::reader::{Kind, PACK_HEADER, PACK_TRAILER, PackFile, Storage};
use super::{PackLimits, delta};
use crate::{Error, Oid, Result};

/// Resolved bases kept at hand (bytes).
const BASES_BYTES_MAX: usize = 48 << 20;

type FindBase<'a> = dyn Fn(&Oid) -> Result<Option<(Kind, Vec<u8>)>> + 'a;
type CheckObject<'a> = dyn FnMut(Kind, &Oid, &[u8]) -> Result<()> + 'a;

/// What is asked while a pack is taken in.
pub(crate) struct Ingest<'a> {
    pub limits: PackLimits,
    /// An object of the repository that a thin pack leaves out.
    pub base: &'a FindBase<'a>,
    /// Called once for each object; with its bytes, unless it is a blob.
    pub check: &'a mut CheckObject<'a>,
}

/// A pack that stands alone, and its index.
pub(crate) struct Ingested {
    pub objects: HashMap<Oid, Kind>,
    pub index: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    data_at: u64,
    size: u64,
    storage: Storage,
    crc: u32,
    /// Known once the entry is resolved: its kind, id and depth.
    object: Option<(Kind, Oid, u32)>,
}

struct Resolver<'a, 'b> {
    ingest: &'a mut Ingest<'b>,
    pack: PackFile,
    entries: Vec<Entry>,
    at_offset: HashMap<u64, usize>,
    on_offset: HashMap<u64, Vec<usize>>,
    on_oid: HashMap<Oid, Vec<usize>>,
    objects: HashMap<Oid, (Kind, usize)>,
    cache: HashMap<usize, Arc<Vec<u8>>>,
    cached: VecDeque<usize>,
    cached_bytes: usize,
    work_left: u64,
}

impl Ingest<'_> {
    /// Takes in the pack at `path`, which may be made longer by the bases it leaves out.
    pub(crate) fn run(mut self, path: &Path) -> Result<Ingested> {
        let pack = PackFile::open(path)?;
        if pack.len() > self.limits.pack_bytes {
            return Err(too_large("the pack", pack.len(), self.limits.pack_bytes));
        }
        let count = read_count(&pack)?;
        if count > self.limits.objects {
            return Err(Error::TooLarge(format!("the pack has {count} objects, the limit is {}", self.limits.objects)));
        }
        let work_left = self.limits.work_floor + self.limits.work_factor * pack.len();
        let mut resolver = Resolver {
            ingest: &mut self,
            pack,
            entries: Vec::new(),
            at_offset: HashMap::new(),
            on_offset: HashMap::new(),
            on_oid: HashMap::new(),
            objects: HashMap::new(),
            cache: HashMap::new(),
            cached: VecDeque::new(),
            cached_bytes: 0,
            work_left,
        };
        let end = resolver.scan(count)?;
        verify_trailer(&resolver.pack, end)?;
        resolver.resolve_whole()?;
        let end = resolver.complete(path, end)?;
        let checksum = seal(path, end, resolver.entries.len())?;
        let listed = resolver.entries.iter().map(listed).collect::<Result<Vec<_>>>()?;
        let objects = resolver.objects.into_iter().map(|(oid, (kind, _))| (oid, kind)).collect();
        Ok(Ingested { objects, index: write_index(listed, &checksum)? })
    }
}

fn listed(entry: &Entry) -> Result<Listed> {
    let (_, oid, _) = entry.object.ok_or_else(|| Error::Unpack("the pack has deltas without a base".into()))?;
    Ok(Listed { oid, crc: entry.crc, offset: entry.offset })
}

fn too_large(what: &str, actual: u64, limit: u64) -> Error {
    Error::TooLarge(format!("{what} is {actual} bytes, the limit is {limit} bytes"))
}

fn read_count(pack: &PackFile) -> Result<u32> {
    let mut header = [0; PACK_HEADER as usize];
    let whole = pack.len() >= PACK_HEADER + PACK_TRAILER && pack.cursor(0).read_exact(&mut header).is_ok();
    let version = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    if !whole || &header[..4] != b"PACK" || !matches!(version, 2 | 3) {
        return Err(Error::Unpack("the pack is cut short, or is no pack".into()));
    }
    Ok(u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

/// Feeds `range` of the pack to `sink`.
fn each_chunk(pack: &PackFile, range: std::ops::Range<u64>, mut sink: impl FnMut(&[u8])) -> Result<()> {
    let mut cursor = pack.cursor(range.start);
    let mut left = range.end - range.start;
    while left > 0 {
        let chunk = cursor.fill_buf().map_err(Error::io("reading a pack"))?;
        if chunk.is_empty() {
            return Err(Error::Unpack("the pack is cut short".into()));
        }
        let n = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        sink(&chunk[..n]);
        cursor.consume(n);
        left -= n as u64;
    }
    Ok(())
}

fn verify_trailer(pack: &PackFile, end: u64) -> Result<()> {
    if end + PACK_TRAILER != pack.len() {
        return Err(Error::Unpack("the pack has bytes after its last object, or is cut short".into()));
    }
    let mut hash = Sha1::new();
    each_chunk(pack, 0..end, |chunk| hash.update(chunk))?;
    let mut stored = Vec::new();
    each_chunk(pack, end..pack.len(), |chunk| stored.extend_from_slice(chunk))?;
    if <[u8; 20]>::from(hash.finalize()).as_slice() == stored {
        Ok(())
    } else {
        Err(Error::Unpack("the pack's checksum is wrong".into()))
    }
}

pub(super) fn object_hash(kind: Kind, size: u64) -> Sha1 {
    Sha1::new_with_prefix(format!("{} {size}\0", kind.name()))
}

fn finish(hash: Sha1) -> Oid {
    Oid::from_bytes(hash.finalize().into())
}

impl Resolver<'_, '_> {
    /// Reads every entry once, in order; the answer is where the last one ends.
    fn scan(&mut self, count: u32) -> Result<u64> {
        let mut at = PACK_HEADER;
        for index in 0..count as usize {
            let header = self.pack.entry(at)?;
            let limits = self.ingest.limits;
            if header.size > limits.object_bytes {
                return Err(too_large("an object", header.size, limits.object_bytes));
            }
            let (taken, object) = match header.storage {
                Storage::Whole(kind) => {
                    let (taken, oid) = self.scan_whole(kind, header.data_at, header.size)?;
                    (taken, Some((kind, oid, 0)))
                }
                Storage::OnOffset(base) => {
                    if !self.at_offset.contains_key(&base) {
                        return Err(Error::Unpack("a delta's base is not where it says".into()));
                    }
                    self.on_offset.entry(base).or_default().push(index);
                    (self.scan_delta(header.data_at, header.size)?, None)
                }
                Storage::OnOid(base) => {
                    self.on_oid.entry(base).or_default().push(index);
                    (self.scan_delta(header.data_at, header.size)?, None)
                }
            };
            let end = header.data_at + taken;
            let mut crc = flate2::Crc::new();
            each_chunk(&self.pack, at..end, |chunk| crc.update(chunk))?;
            self.at_offset.insert(at, index);
            let (data_at, size, storage) = (header.data_at, header.size, header.storage);
            self.entries.push(Entry { offset: at, data_at, size, storage, crc: crc.sum(), object });
            at = end;
        }
        Ok(at)
    }

    fn scan_whole(&mut self, kind: Kind, data_at: u64, size: u64) -> Result<(u64, Oid)> {
        let mut hash = object_hash(kind, size);
        if kind == Kind::Blob {
            let taken = self.pack.inflate_with(data_at, size, |chunk| hash.update(chunk))?;
            let oid = finish(hash);
            self.found(kind, oid, self.entries.len(), &[])?;
            return Ok((taken, oid));
        }
        self.meta_limit(kind, size)?;
        let (bytes, taken) = self.pack.inflate(data_at, size)?;
        hash.update(&bytes);
        let oid = finish(hash);
        self.found(kind, oid, self.entries.len(), &bytes)?;
        Ok((taken, oid))
    }

    /// Checks what a delta declares before its result is made.
    fn scan_delta(&mut self, data_at: u64, size: u64) -> Result<u64> {
        let mut head = Vec::with_capacity(24);
        let taken = self.pack.inflate_with(data_at, size, |chunk| {
            head.extend_from_slice(&chunk[..chunk.len().min(24 - head.len())]);
        })?;
        let (base, result) = delta::sizes(&head)?;
        let limit = self.ingest.limits.object_bytes;
        if base > limit || result > limit {
            return Err(too_large("an object", base.max(result), limit));
        }
        Ok(taken)
    }

    fn meta_limit(&self, kind: Kind, size: u64) -> Result<()> {
        let limit = self.ingest.limits.meta_bytes;
        if kind != Kind::Blob && size > limit { Err(too_large(kind.name(), size, limit)) } else { Ok(()) }
    }

    fn found(&mut self, kind: Kind, oid: Oid, index: usize, bytes: &[u8]) -> Result<()> {
        (self.ingest.check)(kind, &oid, bytes)?;
        if self.objects.insert(oid, (kind, index)).is_some() {
            return Err(Error::Unpack(format!("the pack holds object {oid} twice")));
        }
        Ok(())
    }

    /// Resolves what hangs on the objects that are stored whole.
    fn resolve_whole(&mut self) -> Result<()> {
        for index in 0..self.entries.len() {
            if matches!(self.entries[index].storage, Storage::Whole(_)) {
                self.resolve_from(index)?;
            }
        }
        Ok(())
    }

    /// Resolves everything that waits for `root`, and what waits for that.
    fn resolve_from(&mut self, root: usize) -> Result<()> {
        let mut stack = self.take_waiting(root);
        while let Some(index) = stack.pop() {
            let (kind, base_depth) = self.base_of(index)?;
            let depth = base_depth + 1;
            if depth > self.ingest.limits.depth {
                return Err(Error::TooLarge(format!("a chain of deltas is longer than {}", self.ingest.limits.depth)));
            }
            let bytes = self.bytes(index)?;
            self.meta_limit(kind, bytes.len() as u64)?;
            let mut hash = object_hash(kind, bytes.len() as u64);
            hash.update(bytes.as_slice());
            let oid = finish(hash);
            let seen: &[u8] = if kind == Kind::Blob { &[] } else { &bytes };
            self.found(kind, oid, index, seen)?;
            self.entries[index].object = Some((kind, oid, depth));
            stack.extend(self.take_waiting(index));
        }
        Ok(())
    }

    fn take_waiting(&mut self, index: usize) -> Vec<usize> {
        let entry = &self.entries[index];
        let mut waiting = self.on_offset.remove(&entry.offset).unwrap_or_default();
        if let Some((_, oid, _)) = entry.object {
            waiting.extend(self.on_oid.remove(&oid).unwrap_or_default());
        }
        waiting.reverse();
        waiting
    }

    fn base_index(&self, index: usize) -> Option<usize> {
        match self.entries[index].storage {
            Storage::Whole(_) => None,
            Storage::OnOffset(base) => self.at_offset.get(&base).copied(),
            Storage::OnOid(base) => self.objects.get(&base).map(|(_, index)| *index),
        }
    }

    fn base_of(&self, index: usize) -> Result<(Kind, u32)> {
        let base = self.base_index(index).and_then(|base| self.entries[base].object);
        base.map(|(kind, _, depth)| (kind, depth)).ok_or_else(|| Error::Unpack("a delta has no base".into()))
    }
}

impl Resolver<'_, '_> {
    /// The object of an entry, by way of its bases.
    fn bytes(&mut self, index: usize) -> Result<Arc<Vec<u8>>> {
        let mut chain = Vec::new();
        let mut at = index;
        let mut bytes = loop {
            if let Some(bytes) = self.cache.get(&at) {
                break Arc::clone(bytes);
            }
            let Entry { data_at, size, .. } = self.entries[at];
            match self.base_index(at) {
                Some(base) => {
                    chain.push(at);
                    at = base;
                }
                None => {
                    self.spend(size)?;
                    let whole = Arc::new(self.pack.inflate(data_at, size)?.0);
                    self.keep(at, &whole);
                    break whole;
                }
            }
        };
        for at in chain.into_iter().rev() {
            let Entry { data_at, size, .. } = self.entries[at];
            let (instructions, _) = self.pack.inflate(data_at, size)?;
            let (_, result) = delta::sizes(&instructions)?;
            self.spend(size + result)?;
            bytes = Arc::new(delta::apply(&bytes, &instructions, self.ingest.limits.object_bytes)?);
            self.keep(at, &bytes);
        }
        Ok(bytes)
    }

    fn spend(&mut self, bytes: u64) -> Result<()> {
        let left = self.work_left.checked_sub(bytes);
        self.work_left =
            left.ok_or_else(|| Error::TooLarge("the pack inflates to far more than its own size".into()))?;
        Ok(())
    }

    fn keep(&mut self, index: usize, bytes: &Arc<Vec<u8>>) {
        if bytes.len() > BASES_BYTES_MAX / 2 || self.cache.insert(index, Arc::clone(bytes)).is_some() {
            return;
        }
        self.cached.push_back(index);
        self.cached_bytes += bytes.len();
        while self.cached_bytes > BASES_BYTES_MAX {
            let Some(oldest) = self.cached.pop_front() else { break };
            self.cached_bytes -= self.cache.remove(&oldest).map_or(0, |bytes| bytes.len());
        }
    }

    /// Adds the bases that a thin pack leaves out; the answer is where the last entry ends.
    fn complete(&mut self, path: &Path, mut end: u64) -> Result<u64> {
        let mut missing: Vec<(usize, Oid)> =
            self.on_oid.iter().map(|(oid, waiting)| (waiting.iter().copied().min().unwrap_or(0), *oid)).collect();
        missing.sort_unstable();
        for (_, oid) in missing {
            if !self.on_oid.contains_key(&oid) {
                continue;
            }
            if let Some((kind, bytes)) = (self.ingest.base)(&oid)? {
                self.spend(bytes.len() as u64)?;
                end = self.append(path, end, oid, kind, &bytes)?;
                self.resolve_from(self.entries.len() - 1)?;
            }
        }
        match self.on_oid.keys().next() {
            Some(oid) => Err(Error::Unpack(format!("the base {oid} of a delta is missing"))),
            None if self.on_offset.is_empty() => Ok(end),
            None => Err(Error::Unpack("the pack has deltas without a base".into())),
        }
    }

    fn append(&mut self, path: &Path, at: u64, oid: Oid, kind: Kind, bytes: &[u8]) -> Result<u64> {
        let entry = super::write::whole_entry(kind, bytes)?;
        let mut file = OpenOptions::new().write(true).open(path).map_err(Error::io("completing a pack"))?;
        file.seek(SeekFrom::Start(at)).map_err(Error::io("completing a pack"))?;
        file.write_all(&entry).map_err(Error::io("completing a pack"))?;
        self.pack = PackFile::open(path)?;
        let header = self.pack.entry(at)?;
        let mut crc = flate2::Crc::new();
        crc.update(&entry);
        let index = self.entries.len();
        if self.objects.insert(oid, (kind, index)).is_some() {
            return Err(Error::Unpack(format!("the pack holds object {oid} twice")));
        }
        self.entries.push(Entry {
            offset: at,
            data_at: header.data_at,
            size: header.size,
            storage: header.storage,
            crc: crc.sum(),
            object: Some((kind, oid, 0)),
        });
        Ok(at + entry.len() as u64)
    }
}

/// Writes the count and the checksum of a pack whose entries end at `end`; the answer is the checksum.
fn seal(path: &Path, end: u64, count: usize) -> Result<[u8; 20]> {
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(Error::io("completing a pack"))?;
    let count = u32::try_from(count).map_err(|_| Error::TooLarge("the pack has too many objects".into()))?;
    file.seek(SeekFrom::Start(8)).map_err(Error::io("completing a pack"))?;
    file.write_all(&count.to_be_bytes()).map_err(Error::io("completing a pack"))?;
    let pack = PackFile::open(path)?;
    let mut hash = Sha1::new();
    each_chunk(&pack, 0..end, |chunk| hash.update(chunk))?;
    let checksum: [u8; 20] = hash.finalize().into();
    file.seek(SeekFrom::Start(end)).map_err(Error::io("completing a pack"))?;
    file.write_all(&checksum).map_err(Error::io("completing a pack"))?;
    file.set_len(end + PACK_TRAILER).map_err(Error::io("completing a pack"))?;
    Ok(checksum)
}
