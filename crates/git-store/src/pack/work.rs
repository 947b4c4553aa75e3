//! What taking in a pack may still cost, whom it is for, and where what is too much for memory goes meanwhile.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::PackLimits;
use crate::asker::Asker;
use crate::{Error, Result};

/// Counts in bytes that are inflated and hashed. Several threads may spend at once.
pub(crate) struct Work {
    pub(super) limits: PackLimits,
    made: AtomicU64,
    /// Bytes of the pack so far.
    arrived: AtomicU64,
    folder: PathBuf,
    asker: Asker,
}

impl Work {
    pub(crate) fn new(limits: PackLimits) -> Self {
        let (made, arrived) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { limits, made, arrived, folder: PathBuf::new(), asker: Asker::default() }
    }

    /// From here on files without names are made in `folder`, and work ends when `asker` goes.
    pub(super) fn go_on(&mut self, folder: &Path, asker: Asker) {
        self.folder = folder.to_owned();
        self.asker = asker;
    }

    /// A pack may cost the more, the longer it is.
    pub(super) fn has_arrived(&self, bytes: u64) {
        self.arrived.store(bytes, Ordering::Relaxed);
    }

    /// `Error::TooLarge` when it is more than what is left, `Error::Abandoned` when it is for nobody.
    pub(crate) fn spend(&self, bytes: u64) -> Result<()> {
        self.asker.check()?;
        let made = self.made.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let earned = self.limits.work_factor.saturating_mul(self.arrived.load(Ordering::Relaxed));
        if made <= self.limits.work_floor.saturating_add(earned) {
            Ok(())
        } else {
            Err(Error::TooLarge("the pack inflates to far more than its own size".into()))
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::PACK_LIMITS;

    #[test]
    fn work_ends_when_it_is_used_up_and_when_nobody_waits_for_it() {
        let limits = PackLimits { work_floor: 10, work_factor: 2, ..PACK_LIMITS };
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        let mut work = Work::new(limits);
        work.go_on(Path::new(""), Asker::client(&sender));
        assert!(work.spend(10).is_ok());
        work.has_arrived(5);
        assert!(work.spend(10).is_ok());
        assert!(matches!(work.spend(1), Err(Error::TooLarge(_))));
        drop(receiver);
        assert!(matches!(work.spend(0), Err(Error::Abandoned)));
    }
}
