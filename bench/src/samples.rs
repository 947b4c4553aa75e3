//! Times of one thing done many times.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Seconds, in the order they were taken.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Does it once and takes the time.
    pub fn time<T>(&mut self, action: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let outcome = action()?;
        self.push(start.elapsed());
        Ok(outcome)
    }

    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64());
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The least of them; 0 without samples.
    pub fn best(&self) -> f64 {
        self.at(0.0)
    }

    /// The sample below which `share` (0 to 1) of the samples lie; nearest rank. 0 without samples.
    pub fn at(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let mut samples = Samples::default();
        for tenth in (1..=100).rev() {
            samples.push(Duration::from_millis(tenth * 100));
        }
        assert_eq!(samples.median(), 5.0);
        assert_eq!(samples.best(), 0.1);
        assert_eq!(samples.at(0.99), 9.9);
        assert_eq!(samples.at(1.0), 10.0);
        assert_eq!(Samples::default().median(), 0.0);
    }
}
