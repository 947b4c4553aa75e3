//! Wakes those who wait for something to arrive under a name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Names that are kept without anyone waiting for them.
const QUIET_MAX: usize = 1024;

#[derive(Default)]
pub(super) struct Signals {
    names: Mutex<HashMap<String, watch::Sender<u64>>>,
}

impl Signals {
    /// Subscribes before looking, so that nothing which arrives in between is missed.
    pub(super) fn listen(&self, name: &str) -> watch::Receiver<u64> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= QUIET_MAX {
            names.retain(|_, sender| sender.receiver_count() > 0);
        }
        names.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    pub(super) fn wake(&self, name: &str) {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = names.get(name) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}
