//! The bytes of one object: in memory, or in a file once they are many.

use std::fs::File;
use std::io::{BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::bufread::ZlibDecoder;

use super::reader::PackFile;
use super::work::Work;
use super::{Kind, PackSet, delta};
use crate::{Error, Result};

/// What an object may take of memory (bytes).
pub(super) const IN_MEMORY_MAX: usize = 4 << 20;
/// A piece of a file at a time (bytes).
const PIECE: usize = 64 * 1024;
/// Deltas on deltas in a stored pack.
const CHAIN_MAX: usize = 5000;
/// How many times less it costs to copy a byte than to inflate and hash it.
const STORED_DELTA_DISCOUNT: u64 = 8;

pub(crate) enum Content {
    Memory(Vec<u8>),
    /// A file without a name, and its length.
    Spilled(File, u64),
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spilled(_, len) => *len,
        }
    }

    /// The bytes, when they are in memory.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::Spilled(..) => None,
        }
    }

    /// Feeds `length` bytes from `start` to `sink`; `None` when there are not as many.
    pub(super) fn copy(
        &self,
        start: u64,
        length: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Option<()>> {
        let Some(end) = start.checked_add(length).filter(|end| *end <= self.len()) else { return Ok(None) };
        match self {
            Self::Memory(bytes) => sink(&bytes[start as usize..end as usize])?,
            Self::Spilled(file, _) => {
                let mut piece = [0; PIECE];
                let mut at = start;
                while at < end {
                    let n = PIECE.min((end - at) as usize);
                    file.read_exact_at(&mut piece[..n], at).map_err(Error::io("reading a large object"))?;
                    sink(&piece[..n])?;
                    at += n as u64;
                }
            }
        }
        Ok(Some(()))
    }

    /// Feeds all bytes to `sink`.
    pub(crate) fn each(&self, sink: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.copy(0, self.len(), sink).map(drop)
    }
}

/// Takes bytes as they come.
struct Spool<'a> {
    memory: Vec<u8>,
    file: Option<(File, u64)>,
    folder: &'a Path,
}

impl<'a> Spool<'a> {
    fn new(work: &'a Work) -> Self {
        Self { memory: Vec::new(), file: None, folder: work.folder() }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY_MAX {
            let file = tempfile::tempfile_in(self.folder).map_err(Error::io("spooling a large object"))?;
            self.file = Some((file, 0));
            let begun = std::mem::take(&mut self.memory);
            self.push(&begun)?;
        }
        match &mut self.file {
            None => self.memory.extend_from_slice(bytes),
            Some((file, len)) => {
                file.write_all(bytes).map_err(Error::io("spooling a large object"))?;
                *len += bytes.len() as u64;
            }
        }
        Ok(())
    }

    fn finish(self) -> Content {
        match self.file {
            Some((file, len)) => Content::Spilled(file, len),
            None => Content::Memory(self.memory),
        }
    }
}

/// The inflated bytes of the entry whose deflated ones begin at `data_at`.
pub(super) fn inflated(pack: &PackFile, data_at: u64, size: u64, work: &Work) -> Result<Content> {
    let mut spool = Spool::new(work);
    let mut failed = None;
    pack.inflate_with(data_at, size, |chunk| {
        if failed.is_none() {
            failed = spool.push(chunk).err();
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    Ok(spool.finish())
}

/// The result of the delta whose deflated bytes begin at `data_at`, on `base`.
pub(super) fn patched(base: &Content, pack: &PackFile, data_at: u64, limit: u64, work: &Work) -> Result<Content> {
    let mut instructions = BufReader::with_capacity(16 * 1024, ZlibDecoder::new(pack.cursor(data_at)));
    let mut spool = Spool::new(work);
    delta::apply(base, &mut instructions, limit, work, &mut |bytes| spool.push(bytes))?;
    Ok(spool.finish())
}

impl PackSet {
    /// An object of the set, without libgit2's memory for it; `None` when it is not here.
    pub(crate) fn content(&self, oid: &crate::Oid, limit: u64, work: &Work) -> Result<Option<(Kind, Content)>> {
        let Some((member, mut at)) = self.locate(oid) else { return Ok(None) };
        let corrupt = || Error::Corrupt(format!("object {oid}"));
        let mut chain = Vec::new();
        let (kind, mut content) = loop {
            let entry = member.file.entry(at)?;
            if chain.len() > CHAIN_MAX {
                return Err(corrupt());
            }
            match member.base_of(at, &entry).ok_or_else(corrupt)? {
                None => {
                    break (
                        entry.kind().ok_or_else(corrupt)?,
                        inflated(&member.file, entry.data_at, entry.size, work)?,
                    );
                }
                Some(base) => {
                    chain.push(entry.data_at);
                    at = base;
                }
            }
        };
        for data_at in chain.into_iter().rev() {
            content = patched(&content, &member.file, data_at, limit, work)?;
            // It was hashed when it came; now it is copied alone.
            work.spend(content.len() / STORED_DELTA_DISCOUNT)?;
        }
        Ok(Some((kind, content)))
    }
}

/// A delta that is in memory, for the fuzzers.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn apply_delta(base: &[u8], mut instructions: &[u8], limit: u64) -> Result<Vec<u8>> {
    let (mut out, work) = (Vec::new(), Work::new(super::OWN_LIMITS));
    delta::apply(&Content::Memory(base.to_vec()), &mut instructions, limit, &work, &mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(out)
}
