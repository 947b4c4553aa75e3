//! A thin pack gets the bases it leaves out, and its checksum.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

use super::{CheckObject, Entry, FindBase, NO_BASE, Named, Scanned, Waiting};
use crate::pack::content::Content;
use crate::pack::reader::{Kind, PACK_TRAILER, PackFile, write_type_and_size};
use crate::{Error, Oid, Result};

/// Read at a time (bytes).
const PIECE: usize = 64 * 1024;

impl Scanned {
    /// Adds the bases that a thin pack leaves out, and resolves what waits for them.
    pub(super) fn complete(
        &mut self,
        path: &Path,
        waiting: &Mutex<Waiting>,
        base: &FindBase<'_>,
        check: &CheckObject<'_>,
    ) -> Result<()> {
        let locked = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |(oid, places): (&Oid, &Vec<u32>)| (places.iter().copied().min().unwrap_or(0), *oid);
        let mut missing: Vec<(u32, Oid)> = locked().iter().map(first).collect();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        let deltas = self.deltas();
        for (_, oid) in missing {
            if !locked().contains_key(&oid) {
                continue;
            }
            if let Some((kind, content)) = base(&oid, &self.work)? {
                self.work.spend(content.len())?;
                let (crc, end) = append(path, self.end, kind, &content)?;
                self.entries.push(Entry { offset: self.end, crc, base: NO_BASE });
                self.named.push(Some(Named { oid, kind, depth: 0 }));
                self.end = end;
                self.resolve_last(&PackFile::open(path)?, waiting, check, &deltas)?;
            }
        }
        Ok(())
    }
}

/// Writes an entry at `at`; its checksum, and where it ends.
fn append(path: &Path, at: u64, kind: Kind, content: &Content) -> Result<(u32, u64)> {
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
    Ok((out.crc.sum(), at + out.bytes))
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
    let failed = || Error::io("completing a pack");
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed())?;
    let count = u32::try_from(count).map_err(|_| Error::TooLarge("the pack has too many objects".into()))?;
    file.seek(SeekFrom::Start(8)).map_err(failed())?;
    file.write_all(&count.to_be_bytes()).map_err(failed())?;
    file.seek(SeekFrom::Start(0)).map_err(failed())?;
    let mut hash = Sha1::new();
    let mut piece = vec![0; PIECE];
    let mut left = end;
    while left > 0 {
        let n = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        file.read_exact(&mut piece[..n]).map_err(failed())?;
        hash.update(&piece[..n]);
        left -= n as u64;
    }
    let checksum: [u8; 20] = hash.finalize().into();
    file.write_all(&checksum).map_err(failed())?;
    file.set_len(end + PACK_TRAILER).map_err(failed())?;
    Ok(checksum)
}
