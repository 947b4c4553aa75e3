//! Pack indexes, version 2 (gitformat-pack).

use std::sync::OnceLock;

use sha1::{Digest, Sha1};

use crate::{Error, Oid, Result};

const MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
const FANOUT: usize = 8;
const OIDS: usize = FANOUT + 256 * 4;
const LARGE: u32 = 1 << 31;

/// One entry of a pack, as its index lists it.
pub(crate) struct Listed {
    pub oid: Oid,
    pub crc: u32,
    pub offset: u64,
}

/// Writes the index of a pack of `count` entries; `listed` gives them by their ids, in order.
pub(crate) fn write_index(count: usize, listed: impl Fn(usize) -> Listed, pack_checksum: &[u8; 20]) -> Vec<u8> {
    let mut out = Vec::with_capacity(OIDS + count * 28 + 40);
    out.extend_from_slice(&MAGIC);
    let mut upto = 0;
    for first in 0..=255u8 {
        while upto < count && listed(upto).oid.as_bytes()[0] <= first {
            upto += 1;
        }
        out.extend_from_slice(&(upto as u32).to_be_bytes());
    }
    (0..count).for_each(|at| out.extend_from_slice(listed(at).oid.as_bytes()));
    (0..count).for_each(|at| out.extend_from_slice(&listed(at).crc.to_be_bytes()));
    let mut large = Vec::new();
    for at in 0..count {
        let offset = listed(at).offset;
        let word = match u32::try_from(offset) {
            Ok(small) if small < LARGE => small,
            _ => {
                large.extend_from_slice(&offset.to_be_bytes());
                LARGE | (large.len() / 8 - 1) as u32
            }
        };
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&large);
    out.extend_from_slice(pack_checksum);
    let checksum = Sha1::digest(&out);
    out.extend_from_slice(&checksum);
    out
}

/// An index in memory.
pub(crate) struct PackIndex {
    raw: Vec<u8>,
    count: usize,
    by_offset: OnceLock<Vec<u32>>,
}

impl PackIndex {
    pub(crate) fn parse(raw: Vec<u8>) -> Result<Self> {
        let corrupt = || Error::Corrupt("a pack index".into());
        if raw.len() < OIDS + 40 || raw[..8] != MAGIC {
            return Err(corrupt());
        }
        let count = word(&raw, OIDS - 4) as usize;
        if raw.len() < OIDS + count * 28 + 40 {
            return Err(corrupt());
        }
        Ok(Self { raw, count, by_offset: OnceLock::new() })
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn oid(&self, at: usize) -> Oid {
        Oid::from_prefix(&self.raw[OIDS + at * 20..]).expect("the length was checked")
    }

    pub(crate) fn offset(&self, at: usize) -> u64 {
        let small = word(&self.raw, OIDS + self.count * 24 + at * 4);
        if small & LARGE == 0 {
            return u64::from(small);
        }
        let place = OIDS + self.count * 28 + (small & !LARGE) as usize * 8;
        self.raw.get(place..place + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_be_bytes)
    }

    /// The place of an object in the list of ids.
    pub(crate) fn find(&self, oid: &Oid) -> Option<usize> {
        let first = usize::from(oid.as_bytes()[0]);
        let mut low = if first == 0 { 0 } else { word(&self.raw, FANOUT + (first - 1) * 4) as usize };
        let mut high = (word(&self.raw, FANOUT + first * 4) as usize).min(self.count);
        while low < high {
            let middle = low.midpoint(high);
            match self.oid(middle).cmp(oid) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Places in the list of ids, in the order of the pack.
    pub(crate) fn by_offset(&self) -> &[u32] {
        self.by_offset.get_or_init(|| {
            let mut order: Vec<u32> = (0..self.count as u32).collect();
            order.sort_unstable_by_key(|at| self.offset(*at as usize));
            order
        })
    }

    /// The rank in pack order of the entry at `offset`.
    pub(crate) fn rank(&self, offset: u64) -> Option<usize> {
        self.by_offset().binary_search_by_key(&offset, |at| self.offset(*at as usize)).ok()
    }
}

fn word(raw: &[u8], at: usize) -> u32 {
    raw.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_what_was_listed_also_past_two_gigabytes() {
        let oid = |n: u8| Oid::from_bytes([n; 20]);
        let listed = [(0, 500), (3, 12), (200, 1 << 33), (255, 90)];
        let entry = |at: usize| Listed { oid: oid(listed[at].0), crc: 1, offset: listed[at].1 };
        let index = PackIndex::parse(write_index(listed.len(), entry, &[7; 20])).unwrap();
        for (n, offset) in listed {
            assert_eq!(index.find(&oid(n)).map(|at| index.offset(at)), Some(offset));
        }
        assert!(index.find(&oid(4)).is_none());
        assert_eq!(index.rank(500), Some(2));
        assert_eq!(index.len(), 4);
    }
}
