//! Which packs to join: those that break a geometric progression, as `git repack --geometric=2` has it.

use crate::pack::PACK_LIMITS;
use crate::record::{Contents, StoredPack};

/// Packs that break the progression before it is worth a job.
const JOINED_MIN: usize = 8;
/// Each pack has at least so many times the objects of the next smaller one.
const FACTOR: u64 = 2;
/// Objects without bitmaps before it is worth a job: a number, and a part of all.
const UNCOVERED_MIN: u64 = 1000;
const UNCOVERED_PART: u64 = 4;

/// Whether there are many packs to join, or much that no bitmap knows.
pub(crate) fn is_due(contents: &Contents) -> bool {
    let objects: u64 = contents.packs.iter().map(|pack| pack.objects).sum();
    let covered = contents.numbered().1.map_or(0, |bitmaps| bitmaps.objects);
    let uncovered = objects.saturating_sub(covered);
    joined(&contents.packs).len() >= JOINED_MIN
        || (uncovered >= UNCOVERED_MIN && uncovered.saturating_mul(UNCOVERED_PART) >= objects)
}

/// The smallest packs, up to where each is at least twice the one before; none when all are.
pub(super) fn joined(packs: &[StoredPack]) -> Vec<StoredPack> {
    let mut packs: Vec<_> = packs.to_vec();
    packs.sort_by_key(|pack| pack.objects);
    let breaks = |at: &usize| packs[*at].objects < FACTOR * packs[at - 1].objects;
    let Some(mut last) = (1..packs.len()).rev().find(breaks) else { return Vec::new() };
    let sum = |upto: usize| packs[..=upto].iter().map(|pack| pack.objects).sum::<u64>();
    while last + 1 < packs.len() && packs[last + 1].objects < FACTOR * sum(last) {
        last += 1;
    }
    packs.truncate(last + 1);
    let (mut objects, mut bytes) = (0, 0);
    packs.retain(|pack| {
        objects += pack.objects;
        bytes += pack.bytes;
        objects <= u64::from(PACK_LIMITS.objects) && bytes <= PACK_LIMITS.pack_bytes
    });
    if packs.len() < 2 { Vec::new() } else { packs }
}

#[cfg(test)]
mod tests {
    use cloud::Sha256Digest;

    use super::*;

    fn packs(objects: &[u64]) -> Vec<StoredPack> {
        let pack = |(at, objects): (usize, &u64)| StoredPack {
            id: Sha256Digest([at as u8; 32]),
            upload: "u".into(),
            index: Sha256Digest([0; 32]),
            objects: *objects,
            bytes: objects * 100,
            index_bytes: 1,
        };
        objects.iter().enumerate().map(pack).collect()
    }

    fn chosen(objects: &[u64]) -> Vec<u64> {
        joined(&packs(objects)).iter().map(|pack| pack.objects).collect()
    }

    #[test]
    fn packs_in_progression_are_left_alone() {
        assert!(chosen(&[]).is_empty());
        assert!(chosen(&[7]).is_empty());
        assert!(chosen(&[1, 2, 4, 9, 100]).is_empty());
    }

    #[test]
    fn small_packs_are_joined_and_a_large_one_is_not_touched() {
        assert_eq!(chosen(&[3, 3, 3, 100_000]), [3, 3, 3]);
        assert_eq!(chosen(&[3, 3, 3, 10, 100_000]), [3, 3, 3, 10], "ten is less than twice nine");
        assert_eq!(chosen(&[1, 2, 5, 6]), [1, 2, 5, 6]);
    }

    #[test]
    fn what_is_joined_keeps_the_limits_of_a_pack() {
        assert_eq!(chosen(&[600_000, 600_000]), Vec::<u64>::new());
        assert_eq!(chosen(&[10, 10, 999_990, 999_990]), [10, 10]);
    }
}
