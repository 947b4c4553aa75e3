//! A new pack of whole objects, for commits that are made here.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha1::{Digest, Sha1};

use super::hash::object_id;
use super::reader::{Kind, write_type_and_size};
use crate::{Error, Oid, Result};

/// An entry that stores `bytes` as they are.
pub(super) fn whole_entry(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / 2 + 16);
    write_type_and_size(&mut out, kind.code(), bytes.len() as u64);
    let mut encoder = ZlibEncoder::new(out, Compression::default());
    encoder.write_all(bytes).map_err(Error::io("deflating an object"))?;
    encoder.finish().map_err(Error::io("deflating an object"))
}

#[derive(Default)]
pub(crate) struct PackWriter {
    body: Vec<u8>,
    written: HashSet<Oid>,
}

impl PackWriter {
    /// Adds an object, once; the answer is its id.
    pub(crate) fn add(&mut self, kind: Kind, bytes: &[u8]) -> Result<Oid> {
        let oid = object_id(kind, bytes);
        if self.written.insert(oid) {
            self.body.extend(whole_entry(kind, bytes)?);
        }
        Ok(oid)
    }

    pub(crate) fn finish(self, path: &Path) -> Result<()> {
        let mut out = pack_header(self.written.len() as u32).to_vec();
        out.extend(self.body);
        let checksum = Sha1::digest(&out);
        out.extend_from_slice(&checksum);
        std::fs::write(path, out).map_err(Error::io("writing a pack"))
    }
}

pub(super) fn pack_header(count: u32) -> [u8; 12] {
    let mut header = *b"PACK\0\0\0\x02\0\0\0\0";
    header[8..].copy_from_slice(&count.to_be_bytes());
    header
}
