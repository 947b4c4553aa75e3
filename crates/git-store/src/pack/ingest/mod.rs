//! A pack that arrives: bounded, hashed, resolved, completed and indexed.

mod complete;
mod resolve;
mod scan;

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::PackLimits;
use super::content::Content;
use super::index::{Listed, write_index};
use super::reader::{Kind, PACK_HEADER, PACK_TRAILER, PackFile, Storage};
use crate::{Error, Oid, Result};
use complete::seal;

type FindBase<'a> = dyn Fn(&Oid) -> Result<Option<(Kind, Content)>> + 'a;
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
    /// The size of the object itself, as a delta declares it.
    result: u64,
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
    cache: HashMap<usize, Arc<Content>>,
    cached: VecDeque<usize>,
    cached_bytes: u64,
    /// Bytes that may still be made.
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
        let work_left = self.limits.work_floor.saturating_add(self.limits.work_factor * pack.len());
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

impl Resolver<'_, '_> {
    fn spend(&mut self, bytes: u64) -> Result<()> {
        let left = self.work_left.checked_sub(bytes);
        self.work_left =
            left.ok_or_else(|| Error::TooLarge("the pack inflates to far more than its own size".into()))?;
        Ok(())
    }

    fn meta_limit(&self, kind: Kind, size: u64) -> Result<()> {
        let limit = self.ingest.limits.meta_bytes;
        if kind != Kind::Blob && size > limit { Err(too_large(kind.name(), size, limit)) } else { Ok(()) }
    }

    /// Notes an object, once; `bytes` are those of a commit, tree or tag.
    fn found(&mut self, kind: Kind, oid: Oid, index: usize, bytes: &[u8]) -> Result<()> {
        (self.ingest.check)(kind, &oid, bytes)?;
        if self.objects.insert(oid, (kind, index)).is_some() {
            return Err(Error::Unpack(format!("the pack holds object {oid} twice")));
        }
        Ok(())
    }
}
