//! Time and randomness that a test holds in its hand.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use cloud::{Clock, Entropy, Millis};

/// 2026-01-01T00:00:00Z: where a simulation begins unless it says otherwise.
const START: i64 = 1_767_225_600_000;

/// Stands still until it is told to move.
#[derive(Debug)]
pub struct SimClock(AtomicI64);

impl Default for SimClock {
    fn default() -> Self {
        Self::at(Millis(START))
    }
}

impl SimClock {
    pub fn at(start: Millis) -> Self {
        Self(AtomicI64::new(start.0))
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    /// Jumps, also backwards, as a clock that is being corrected does.
    pub fn set(&self, to: Millis) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// The same bytes for the same seed, in order of the calls. Not fit for secrets.
#[derive(Debug)]
pub struct SimEntropy(AtomicU64);

impl SimEntropy {
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// The next number (SplitMix64, Steele, Lea and Flood 2014).
    pub fn number(&self) -> u64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let (mut one, mut same, mut other) = ([0; 33], [0; 33], [0; 33]);
        SimEntropy::seeded(7).fill(&mut one);
        SimEntropy::seeded(7).fill(&mut same);
        SimEntropy::seeded(8).fill(&mut other);
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert_ne!(one, [0; 33]);
    }

    #[test]
    fn the_clock_moves_only_when_told() {
        let clock = SimClock::default();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Millis(start.0 + 2000));
        clock.set(Millis(5));
        assert_eq!(clock.now(), Millis(5));
    }
}
