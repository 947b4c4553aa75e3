//! A token bucket: a rate with a burst.

use std::time::Duration;

use cloud::Millis;

#[derive(Debug)]
pub struct Throttle {
    /// Tokens a second.
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Millis,
}

impl Throttle {
    pub fn new(rate: u32, burst: u32, now: Millis) -> Self {
        Self { rate: rate.into(), burst: burst.into(), tokens: burst.into(), at: now }
    }

    /// Takes a token; `false` when there is none.
    pub fn take(&mut self, now: Millis) -> bool {
        let since: Duration = now.since(self.at);
        self.at = now;
        self.tokens = (self.tokens + since.as_secs_f64() * self.rate).min(self.burst);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut throttle = Throttle::new(10, 3, Millis(0));
        assert_eq!((0..5).filter(|_| throttle.take(Millis(0))).count(), 3);
        assert!(!throttle.take(Millis(50)));
        assert!(throttle.take(Millis(100)));
        assert!(!throttle.take(Millis(100)));
        assert_eq!((0..100).filter(|_| throttle.take(Millis(60_000))).count(), 3);
        // A clock that goes back neither adds nor panics.
        assert!(!throttle.take(Millis(0)));
    }
}
