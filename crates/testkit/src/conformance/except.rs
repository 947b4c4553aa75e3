//! Cases that a suite leaves out for one stranger, by name and with the reason.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// What a stranger does wrong, as `docs/emulators.md` lists it. Nothing is left out for an adapter of ours.
pub struct Except {
    who: &'static str,
    cases: &'static [(&'static str, &'static str)],
    met: Mutex<BTreeSet<&'static str>>,
}

impl Except {
    /// Every case holds.
    pub fn nothing() -> Self {
        Self::of("", &[])
    }

    /// `cases`: the names that the suite gives, each with what `who` does wrong.
    pub fn of(who: &'static str, cases: &'static [(&'static str, &'static str)]) -> Self {
        Self { who, cases, met: Mutex::default() }
    }

    /// Whether the case is left out; says so and why.
    pub fn leaves_out(&self, case: &str) -> bool {
        let Some((case, why)) = self.cases.iter().find(|(listed, _)| *listed == case) else { return false };
        if self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(case) {
            println!("left out for {}: {case}, because {why}", self.who);
        }
        true
    }

    /// A case that the suite does not know cannot be left out.
    pub fn check(&self) {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for (case, _) in self.cases {
            assert!(met.contains(case), "the suite has no case `{case}`");
        }
    }
}
