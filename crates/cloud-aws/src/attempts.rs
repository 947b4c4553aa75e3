//! Attempts of a call that the SDK must not repeat by itself.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use cloud::{Entropy, SystemEntropy};

use crate::{ATTEMPTS_MAX, BACKOFF_FIRST, BACKOFF_MAX, is_busy};

/// Counts the attempts of one call and waits between them.
#[derive(Default)]
pub(crate) struct Attempts {
    made: u32,
}

impl Attempts {
    /// Waits before the next attempt: a random time (AWS, "Exponential backoff and jitter", full jitter), so that those
    /// who collided do not collide again. False, at once, when all attempts were made.
    pub(crate) async fn again(&mut self) -> bool {
        self.made += 1;
        if self.made >= ATTEMPTS_MAX {
            return false;
        }
        let most = BACKOFF_MAX.min(BACKOFF_FIRST * 2u32.saturating_pow(self.made - 1));
        tokio::time::sleep(jitter(most)).await;
        true
    }
}

fn jitter(most: Duration) -> Duration {
    let mut random = [0; 2];
    SystemEntropy.fill(&mut random);
    most.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}

/// What a failed attempt of a write says about the write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It did not happen and may be sent again as it is.
    Busy,
    /// Nobody knows whether it happened.
    Unclear,
    /// The service answered, and sending it again would not help.
    Refused(u16),
}

pub(crate) fn verdict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Verdict {
    match error {
        SdkError::ConstructionFailure(_) => Verdict::Refused(0),
        SdkError::ServiceError(service) => match (service.raw().status().as_u16(), service.err().code()) {
            (429 | 503, _) => Verdict::Busy,
            // A success that cannot be read.
            (..300, None) => Verdict::Unclear,
            // `InternalError` also comes with 200 (CompleteMultipartUpload).
            (500.., _) | (_, Some("RequestTimeout" | "InternalError")) => Verdict::Unclear,
            (_, Some(code)) if is_busy(code) => Verdict::Busy,
            (status, _) => Verdict::Refused(status),
        },
        _ => Verdict::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn attempts_are_counted() {
        let mut attempts = Attempts::default();
        let mut made = 1;
        while attempts.again().await {
            made += 1;
        }
        assert_eq!(made, ATTEMPTS_MAX);
    }

    #[test]
    fn jitter_stays_below_its_bound_and_varies() {
        let most = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..100).map(|_| jitter(most)).collect();
        assert!(waits.iter().all(|wait| *wait <= most));
        assert!(waits.iter().collect::<std::collections::BTreeSet<_>>().len() > 50, "{waits:?}");
    }
}
