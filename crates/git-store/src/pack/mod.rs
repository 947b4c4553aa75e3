//! Packs: reading, indexing, checking what arrives, writing and copying (gitformat-pack).

mod content;
mod copy;
mod delta;
mod hash;
mod index;
mod ingest;
mod reader;
mod set;
mod work;
mod write;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use content::apply_delta;
pub(crate) use copy::{Chosen, Plan, write_pack};
pub(crate) use hash::object_id;
pub(crate) use index::PackIndex;
pub(crate) use ingest::{Ingested, Scanned, ingest, scan};
pub(crate) use reader::Kind;
pub(crate) use set::PackSet;
pub(crate) use work::Work;
pub(crate) use write::PackWriter;

/// Limits of one push. They hold before memory is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackLimits {
    /// The pack as sent (bytes).
    pub pack_bytes: u64,
    pub objects: u32,
    /// One object, also as the result of a delta (bytes).
    pub object_bytes: u64,
    /// One commit, tree or tag (bytes).
    pub meta_bytes: u64,
    /// Deltas on deltas.
    pub depth: u32,
    /// An object and all the bases on its way (bytes): what it takes to make it anew.
    pub chain_bytes: u64,
    /// Bytes that may be made while a pack is inflated and its deltas are resolved: a floor, and a factor on the pack's own bytes.
    pub work_floor: u64,
    pub work_factor: u64,
}

pub(crate) const PACK_LIMITS: PackLimits = PackLimits {
    pack_bytes: 2 << 30,
    objects: 1_000_000,
    object_bytes: 100 << 20,
    meta_bytes: 16 << 20,
    depth: 4095,
    chain_bytes: 4 << 30,
    work_floor: 400 << 20,
    work_factor: 400,
};

/// Limits of a pack that was made here, of objects that passed the others once.
pub(crate) const OWN_LIMITS: PackLimits = PackLimits {
    pack_bytes: u64::MAX,
    objects: u32::MAX,
    chain_bytes: u64::MAX,
    work_floor: u64::MAX,
    work_factor: 0,
    ..PACK_LIMITS
};
