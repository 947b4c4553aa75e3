//! A thin pack gets the bases it leaves out, and its checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

use super::{Entry, Resolver, each_chunk};
use crate::pack::content::Content;
use crate::pack::reader::{Kind, PACK_TRAILER, PackFile, write_type_and_size};
use crate::{Error, Oid, Result};

impl Resolver<'_, '_> {
    /// Adds the bases that a thin pack leaves out; the answer is where the last entry ends.
    pub(super) fn complete(&mut self, path: &Path, mut end: u64) -> Result<u64> {
        let mut missing: Vec<(usize, Oid)> =
            self.on_oid.iter().map(|(oid, waiting)| (waiting.iter().copied().min().unwrap_or(0), *oid)).collect();
        missing.sort_unstable();
        for (_, oid) in missing {
            if !self.on_oid.contains_key(&oid) {
                continue;
            }
            if let Some((kind, content)) = (self.ingest.base)(&oid)? {
                self.spend(content.len())?;
                end = self.append(path, end, oid, kind, &content)?;
                self.resolve_from(self.entries.len() - 1)?;
            }
        }
        match self.on_oid.keys().next() {
            Some(oid) => Err(Error::Unpack(format!("the base {oid} of a delta is missing"))),
            None if self.on_offset.is_empty() => Ok(end),
            None => Err(Error::Unpack("the pack has deltas without a base".into())),
        }
    }

    fn append(&mut self, path: &Path, at: u64, oid: Oid, kind: Kind, content: &Content) -> Result<u64> {
        let failed = || Error::io("completing a pack");
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed())?;
        file.seek(SeekFrom::Start(at)).map_err(failed())?;
        let mut head = Vec::new();
        write_type_and_size(&mut head, kind.code(), content.len());
        let mut out = CrcWriter { file: BufWriter::new(file), crc: flate2::Crc::new(), bytes: 0 };
        out.write_all(&head).map_err(failed())?;
        let level = if content.bytes().is_some() { Compression::default() } else { Compression::fast() };
        let mut encoder = ZlibEncoder::new(&mut out, level);
        content.each(&mut |bytes| encoder.write_all(bytes).map_err(failed()))?;
        encoder.finish().map_err(failed())?;
        out.flush().map_err(failed())?;
        let (crc, end) = (out.crc.sum(), at + out.bytes);
        self.pack = PackFile::open(path)?;
        let header = self.pack.entry(at)?;
        let index = self.entries.len();
        if self.objects.insert(oid, (kind, index)).is_some() {
            return Err(Error::Unpack(format!("the pack holds object {oid} twice")));
        }
        let (data_at, size, storage) = (header.data_at, header.size, header.storage);
        let object = Some((kind, oid, 0));
        self.entries.push(Entry { offset: at, data_at, size, result: size, storage, crc, object });
        Ok(end)
    }
}

/// Counts and sums what is written.
struct CrcWriter {
    file: BufWriter<File>,
    crc: flate2::Crc,
    bytes: u64,
}

impl Write for CrcWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.crc.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes the count and the checksum of a pack whose entries end at `end`; the answer is the checksum.
pub(super) fn seal(path: &Path, end: u64, count: usize) -> Result<[u8; 20]> {
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
