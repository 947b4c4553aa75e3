//! Reachability bitmaps: what some commits lead to, worked out ahead, so that a clone asks no tree.
//!
//! Made when packs are joined, for the packs that are then live; later packs are walked as if there were none.

mod build;
mod reach;
mod stored;

use std::collections::HashMap;

use roaring::RoaringBitmap;

use crate::Oid;

pub(crate) use build::build;
pub(crate) use reach::{choose, reachable};
pub(crate) use stored::{decode, encode};

/// Bitmaps over the numbers of a pack set whose first packs are the ones the bitmaps were made for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Bitmaps {
    /// Numbers that the bitmaps speak of: `0..covered`.
    pub covered: u32,
    /// Commits, trees, blobs and tags among them.
    pub kinds: [RoaringBitmap; 4],
    /// All that a commit leads to, and itself.
    pub commits: HashMap<Oid, RoaringBitmap>,
}
