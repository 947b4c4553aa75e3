//! A pack on disk, read by position.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::ZlibDecoder;

use crate::{Error, Oid, Result};

const WINDOW: usize = 32 * 1024;
/// The longest entry header: ten bytes of size and twenty of base.
pub(super) const HEADER_MAX: usize = 32;
/// `PACK`, version, count.
pub(crate) const PACK_HEADER: u64 = 12;
/// The SHA-1 of all before it.
pub(crate) const PACK_TRAILER: u64 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }

    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        [Self::Commit, Self::Tree, Self::Blob, Self::Tag].into_iter().find(|kind| kind.name().as_bytes() == raw)
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Commit => 1,
            Self::Tree => 2,
            Self::Blob => 3,
            Self::Tag => 4,
        }
    }

    pub(crate) const fn of_git2(kind: git2::ObjectType) -> Option<Self> {
        match kind {
            git2::ObjectType::Commit => Some(Self::Commit),
            git2::ObjectType::Tree => Some(Self::Tree),
            git2::ObjectType::Blob => Some(Self::Blob),
            git2::ObjectType::Tag => Some(Self::Tag),
            git2::ObjectType::Any => None,
        }
    }
}

/// How an entry stores its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Whole(Kind),
    /// A delta on the entry at this offset of the same pack.
    OnOffset(u64),
    OnOid(Oid),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryHeader {
    pub storage: Storage,
    /// Bytes once inflated: the object, or the delta.
    pub size: u64,
    /// Where the deflated bytes start.
    pub data_at: u64,
}

impl EntryHeader {
    /// The type of an entry that is no delta.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self.storage {
            Storage::Whole(kind) => Some(kind),
            _ => None,
        }
    }
}

pub(crate) struct PackFile {
    file: File,
    len: u64,
}

impl PackFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("opening a pack"))?;
        let len = file.metadata().map_err(Error::io("opening a pack"))?.len();
        Ok(Self { file, len })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads the header of the entry at `offset`.
    pub(crate) fn entry(&self, offset: u64) -> Result<EntryHeader> {
        let mut raw = [0; HEADER_MAX];
        let there = read_some(&self.file, &mut raw, offset).map_err(Error::io("reading a pack"))?;
        parse_header(&raw[..there], offset).ok_or_else(|| Error::Unpack("a pack entry has a bad header".into()))
    }

    /// The header of an entry whose first bytes are in memory; `None` when they are no header, or not all of one.
    pub(crate) fn header_in(bytes: &[u8], offset: u64) -> Option<EntryHeader> {
        parse_header(&bytes[..bytes.len().min(HEADER_MAX)], offset)
    }

    /// Fills `buffer` with what is at `at`: `wanted` bytes, or fewer at the end.
    pub(crate) fn read_into(&self, at: u64, wanted: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(wanted, 0);
        let there = read_some(&self.file, buffer, at).map_err(Error::io("reading a pack"))?;
        buffer.truncate(there);
        Ok(())
    }

    /// A reader of the bytes from `at`.
    pub(crate) fn cursor(&self, at: u64) -> Cursor<'_> {
        Cursor { file: &self.file, at, end: self.len, window: Vec::new(), used: 0 }
    }

    /// Inflates what fits into `head`; how much that is.
    pub(super) fn inflate_begin(&self, data_at: u64, head: &mut [u8]) -> Result<usize> {
        let mut decoder = ZlibDecoder::new(self.cursor(data_at));
        let mut there = 0;
        while there < head.len() {
            match decoder.read(&mut head[there..]) {
                Ok(0) => break,
                Ok(n) => there += n,
                Err(_) => return Err(Error::Unpack("a pack entry does not inflate".into())),
            }
        }
        Ok(there)
    }

    /// Inflates exactly `size` bytes and hands them on as they come; the answer is the length of the deflated bytes.
    pub(crate) fn inflate_with(&self, data_at: u64, size: u64, mut sink: impl FnMut(&[u8])) -> Result<u64> {
        let bad = || Error::Unpack("a pack entry does not inflate to the size it declares".into());
        let mut decoder = ZlibDecoder::new(self.cursor(data_at));
        let mut chunk = [0; 16 * 1024];
        let mut made = 0;
        loop {
            let n = decoder.read(&mut chunk).map_err(|_| bad())?;
            if n == 0 {
                break;
            }
            made += n as u64;
            if made > size {
                return Err(bad());
            }
            sink(&chunk[..n]);
        }
        if made == size { Ok(decoder.total_in()) } else { Err(bad()) }
    }
}

fn read_some(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// `None` when the bytes are no entry header.
fn parse_header(raw: &[u8], offset: u64) -> Option<EntryHeader> {
    let mut bytes = raw.iter().copied();
    let first = bytes.next()?;
    let mut size = u64::from(first & 0x0f);
    let mut used = 1;
    let mut shift = 4;
    let mut last = first;
    while last & 0x80 != 0 {
        last = bytes.next()?;
        used += 1;
        let part = u64::from(last & 0x7f);
        if shift > 60 || (part << shift) >> shift != part {
            return None;
        }
        size |= part << shift;
        shift += 7;
    }
    let storage = match (first >> 4) & 7 {
        1 => Storage::Whole(Kind::Commit),
        2 => Storage::Whole(Kind::Tree),
        3 => Storage::Whole(Kind::Blob),
        4 => Storage::Whole(Kind::Tag),
        6 => {
            let mut byte = bytes.next()?;
            used += 1;
            let mut back = u64::from(byte & 0x7f);
            while byte & 0x80 != 0 {
                byte = bytes.next()?;
                used += 1;
                back = back.checked_add(1)?.checked_mul(128)? | u64::from(byte & 0x7f);
            }
            Storage::OnOffset(offset.checked_sub(back).filter(|base| *base >= PACK_HEADER && back > 0)?)
        }
        7 => {
            let oid = Oid::from_prefix(raw.get(used..)?)?;
            used += 20;
            Storage::OnOid(oid)
        }
        _ => return None,
    };
    Some(EntryHeader { storage, size, data_at: offset + used as u64 })
}

/// Writes the type and size of an entry.
pub(crate) fn write_type_and_size(out: &mut Vec<u8>, code: u8, size: u64) {
    let mut rest = size >> 4;
    let mut byte = (code << 4) | (size & 0x0f) as u8;
    while rest != 0 {
        out.push(byte | 0x80);
        byte = (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out.push(byte);
}

/// Writes how far back the base of an offset delta is.
pub(crate) fn write_distance(out: &mut Vec<u8>, distance: u64) {
    let mut groups = vec![(distance & 0x7f) as u8];
    let mut rest = distance >> 7;
    while rest != 0 {
        rest -= 1;
        groups.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.extend(groups.iter().rev());
}

pub(crate) struct Cursor<'a> {
    file: &'a File,
    at: u64,
    end: u64,
    window: Vec<u8>,
    used: usize,
}

impl BufRead for Cursor<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.window.len() {
            let want = WINDOW.min(usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(WINDOW));
            self.window.resize(want, 0);
            let there = read_some(self.file, &mut self.window, self.at)?;
            self.window.truncate(there);
            self.at += there as u64;
            self.used = 0;
        }
        Ok(&self.window[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used = (self.used + n).min(self.window.len());
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let n = there.len().min(buffer.len());
        buffer[..n].copy_from_slice(&there[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_headers_survive_the_round_trip() {
        for size in [0, 1, 15, 16, 127, 2048, 1 << 33, u64::MAX >> 4] {
            let mut raw = Vec::new();
            write_type_and_size(&mut raw, Kind::Blob.code(), size);
            let header = parse_header(&raw, 12).unwrap();
            assert_eq!((header.storage, header.size), (Storage::Whole(Kind::Blob), size));
        }
        for distance in [1, 127, 128, 16_511, 16_512, 1 << 40] {
            let mut raw = Vec::new();
            write_type_and_size(&mut raw, 6, 9);
            write_distance(&mut raw, distance);
            let header = parse_header(&raw, distance + 12).unwrap();
            assert_eq!(header.storage, Storage::OnOffset(12));
        }
    }

    #[test]
    fn a_size_of_more_than_64_bits_is_no_header() {
        assert!(parse_header(&[0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 12).is_none());
        assert!(parse_header(&[0x60, 0x00], 12).is_none(), "a base at distance zero");
    }
}
