//! Bitmaps as a blob: a line that names the format, then the rest deflated.
//!
//! ```text
//! "WRBM" version:u8 | zlib( covered:u32  4 × bitmap (kinds)  commits:u32  commits × (oid:20 bytes, bitmap) )
//! bitmap = length:u32, then the portable form of Roaring bitmaps (RoaringFormatSpec); numbers are little-endian
//! ```

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use roaring::RoaringBitmap;

use super::Bitmaps;
use crate::{Error, Oid, Result};

const MAGIC: &[u8] = b"WRBM\x01";
/// Bitmaps once inflated (bytes).
const INFLATED_MAX: u64 = 256 << 20;
const COMMITS_MAX: u32 = 4096;

pub(crate) fn encode(bitmaps: &Bitmaps) -> Result<Vec<u8>> {
    let io = Error::io("writing bitmaps");
    let mut out = ZlibEncoder::new(MAGIC.to_vec(), Compression::fast());
    let body = |out: &mut ZlibEncoder<Vec<u8>>| -> std::io::Result<()> {
        out.write_all(&bitmaps.covered.to_le_bytes())?;
        bitmaps.kinds.iter().try_for_each(|kind| write_bitmap(out, kind))?;
        out.write_all(&(bitmaps.commits.len() as u32).to_le_bytes())?;
        let mut commits: Vec<_> = bitmaps.commits.iter().collect();
        commits.sort_unstable_by_key(|(oid, _)| **oid);
        for (oid, bitmap) in commits {
            out.write_all(oid.as_bytes())?;
            write_bitmap(out, bitmap)?;
        }
        Ok(())
    };
    body(&mut out).and_then(|()| out.finish()).map_err(io)
}

fn write_bitmap(out: &mut impl Write, bitmap: &RoaringBitmap) -> std::io::Result<()> {
    let mut bitmap = bitmap.clone();
    bitmap.optimize();
    out.write_all(&(bitmap.serialized_size() as u32).to_le_bytes())?;
    bitmap.serialize_into(out)
}

/// Reads bitmaps; whatever is not exactly that is `Error::Corrupt`.
pub(crate) fn decode(raw: &[u8]) -> Result<Bitmaps> {
    let corrupt = || Error::Corrupt("bitmaps".into());
    let mut input = ZlibDecoder::new(raw.strip_prefix(MAGIC).ok_or_else(corrupt)?).take(INFLATED_MAX);
    read(&mut input).ok_or_else(corrupt)
}

fn read(input: &mut impl Read) -> Option<Bitmaps> {
    let covered = word(input)?;
    let mut kinds: [RoaringBitmap; 4] = Default::default();
    for kind in &mut kinds {
        *kind = bitmap(input, covered)?;
    }
    let count = word(input).filter(|count| *count <= COMMITS_MAX)?;
    let mut bitmaps = Bitmaps { covered, kinds, commits: Default::default() };
    for _ in 0..count {
        let mut oid = [0; 20];
        input.read_exact(&mut oid).ok()?;
        bitmaps.commits.insert(Oid::from_bytes(oid), bitmap(input, covered)?);
    }
    Some(bitmaps)
}

fn word(input: &mut impl Read) -> Option<u32> {
    let mut raw = [0; 4];
    input.read_exact(&mut raw).ok()?;
    Some(u32::from_le_bytes(raw))
}

fn bitmap(input: &mut impl Read, covered: u32) -> Option<RoaringBitmap> {
    let length = u64::from(word(input)?);
    let mut raw = Vec::new();
    input.take(length).read_to_end(&mut raw).ok()?;
    if raw.len() as u64 != length {
        return None;
    }
    let mut rest = raw.as_slice();
    let bitmap = RoaringBitmap::deserialize_from(&mut rest).ok()?;
    (rest.is_empty() && bitmap.max().is_none_or(|last| last < covered)).then_some(bitmap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Bitmaps {
        let mut bitmaps = Bitmaps { covered: 70_000, ..Bitmaps::default() };
        bitmaps.kinds[0].insert_range(0..500);
        bitmaps.kinds[2].insert_range(500..70_000);
        let scattered = (0..70_000).filter(|n| n % 7 != 3).collect();
        bitmaps.commits.insert(Oid::from_bytes([1; 20]), scattered);
        bitmaps.commits.insert(Oid::from_bytes([2; 20]), RoaringBitmap::from_iter([69_999]));
        bitmaps
    }

    #[test]
    fn bitmaps_survive_the_round_trip() {
        assert_eq!(decode(&encode(&some()).unwrap()).unwrap(), some());
    }

    #[test]
    fn damaged_bitmaps_are_an_error_and_nothing_worse() {
        let raw = encode(&some()).unwrap();
        for at in (0..raw.len()).step_by(97) {
            assert!(decode(&raw[..at]).is_err(), "cut at {at}");
            let mut damaged = raw.clone();
            damaged[at] ^= 0x55;
            // Either it is noticed here or by the blob's digest; it never panics.
            let _ = decode(&damaged);
        }
        let mut beyond = some();
        beyond.covered = 69_999;
        assert!(decode(&encode(&beyond).unwrap()).is_err(), "a number past what is covered");
    }
}
