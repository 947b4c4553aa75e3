//! How often something may be tried: fixed windows in records, so that they hold across processes.

use std::time::Duration;

use cloud::{Expect, Millis};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::store::{ATTEMPTS_MAX, Store, Stored, key};
use crate::{Error, Result};

/// So many in so long.
pub(crate) struct Rate {
    pub count_max: u32,
    pub window: Duration,
}

/// Sign-ins for one address, known or not.
pub(crate) const SIGN_INS_PER_ADDRESS: Rate = Rate { count_max: 10, window: Duration::from_secs(5 * 60) };
/// Sign-ins in all: bounds what password hashing can cost.
pub(crate) const SIGN_INS: Rate = Rate { count_max: 600, window: Duration::from_secs(60) };

/// New passwords by token, in all: bounds guessing, which 256 random bits make hopeless, and hashing.
pub(crate) const RESETS: Rate = Rate { count_max: 120, window: Duration::from_secs(60) };

#[derive(Serialize, Deserialize)]
struct WindowRecord {
    started: Millis,
    count: u32,
}

impl Store {
    /// Counts one attempt before it is made, so that attempts at once cannot pass the limit together.
    pub(crate) async fn count_attempt(&self, name: &str, rate: &Rate) -> Result<()> {
        let key = key::rate(name);
        for _ in 0..ATTEMPTS_MAX {
            let now = self.now();
            let stored: Option<Stored<WindowRecord>> = self.get_kept(&key).await?;
            let (window, expect) = match stored {
                Some(Stored { value, version }) if now.since(value.started) < rate.window => {
                    (value, Expect::At(version))
                }
                Some(Stored { version, .. }) => (WindowRecord { started: now, count: 0 }, Expect::At(version)),
                None => (WindowRecord { started: now, count: 0 }, Expect::Absent),
            };
            let ends = window.started.plus(rate.window);
            if window.count >= rate.count_max {
                return Err(Error::RateLimited { retry_after: ends.since(now) });
            }
            let counted = WindowRecord { count: window.count + 1, ..window };
            if self.put(key.clone(), &counted, expect, Some(ends)).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::RateLimited { retry_after: Duration::from_secs(1) })
    }

    /// Forgets the attempts of a window.
    pub(crate) async fn clear_attempts(&self, name: &str) -> Result<()> {
        Ok(self.records.delete(key::rate(name), Expect::Anything).await?)
    }
}

/// The window of one address: a digest, so that the key has no personal data and any input fits.
pub(crate) fn address_window(address: &str) -> String {
    let folded = address.trim().to_lowercase();
    format!("sign-in#{}", &hex::encode(Sha256::digest(folded.as_bytes()))[..32])
}
