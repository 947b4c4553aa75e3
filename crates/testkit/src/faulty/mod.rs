//! A cloud that fails when it is told to: any call, before or after it took effect, late, or twice.
//!
//! All ports made from one `FaultyCloud` share its plan, so that "the N-th call" means the N-th of all of them:
//! a test runs a piece of work once to count its calls, then again for every N with a fault there.

mod ports;
mod stacks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloud::{Error, Result};

pub use ports::{FaultyBlobs, FaultyLogs, FaultyParameters, FaultyQueue, FaultyRecords};
pub use stacks::{FaultySockets, FaultyStacks};

use crate::SimEntropy;

/// Names of calls that are remembered.
const REMEMBERED_MAX: usize = 100_000;

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has done nothing (`Error::Unavailable`).
    Before,
    /// It is done, and the answer is lost (`Error::Unclear`).
    After,
    /// It is done after this time.
    Delay(Duration),
    /// It is done twice, and the second answer counts: a retry whose first answer was lost.
    Repeat,
}

/// The plan that the faulty ports follow.
#[derive(Clone, Default)]
pub struct FaultyCloud {
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// Names of the calls so far.
    calls: Vec<&'static str>,
    count: u64,
    faults: HashMap<u64, Fault>,
    random: Option<Random>,
}

struct Random {
    entropy: SimEntropy,
    per_thousand: u64,
    kinds: Vec<Fault>,
}

impl FaultyCloud {
    pub fn new() -> Self {
        Self::default()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `nth` call from now on (from 1) meets `fault`.
    pub fn at(&self, nth: u64, fault: Fault) {
        let mut plan = self.plan();
        let number = plan.count + nth;
        plan.faults.insert(number, fault);
    }

    /// From now on `per_thousand` of the calls meet one of `kinds`; which ones depends on the seed alone.
    pub fn at_random(&self, seed: u64, per_thousand: u64, kinds: &[Fault]) {
        self.plan().random = Some(Random { entropy: SimEntropy::seeded(seed), per_thousand, kinds: kinds.to_vec() });
    }

    /// Forgets the plan: from now on everything works. The calls so far stay counted.
    pub fn heal(&self) {
        let mut plan = self.plan();
        plan.faults.clear();
        plan.random = None;
    }

    /// How many calls there have been.
    pub fn count(&self) -> u64 {
        self.plan().count
    }

    /// The names of the calls so far (`records.transact`), the first 100,000.
    pub fn calls(&self) -> Vec<&'static str> {
        self.plan().calls.clone()
    }

    fn next(&self, name: &'static str) -> Option<Fault> {
        let mut plan = self.plan();
        plan.count += 1;
        if plan.calls.len() < REMEMBERED_MAX {
            plan.calls.push(name);
        }
        let count = plan.count;
        plan.faults.remove(&count).or_else(|| plan.random.as_ref().and_then(Random::next))
    }

    /// Makes a call the way the plan says.
    async fn run<T, F, C>(&self, name: &'static str, call: C) -> Result<T>
    where
        C: Fn() -> F,
        F: Future<Output = Result<T>>,
    {
        match self.next(name) {
            None => call().await,
            Some(Fault::Before) => Err(Error::Unavailable(format!("{name} (planned)"))),
            Some(Fault::After) => {
                // Whatever it answered, nobody hears it.
                let _ = call().await;
                Err(Error::Unclear(format!("{name} (planned)")))
            }
            Some(Fault::Delay(by)) => {
                tokio::time::sleep(by).await;
                call().await
            }
            Some(Fault::Repeat) => {
                let _ = call().await;
                call().await
            }
        }
    }
}

impl Random {
    fn next(&self) -> Option<Fault> {
        if self.kinds.is_empty() || self.entropy.number() % 1000 >= self.per_thousand {
            return None;
        }
        let kinds = self.kinds.len() as u64;
        usize::try_from(self.entropy.number() % kinds).ok().and_then(|kind| self.kinds.get(kind)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimClock;
    use crate::memory::MemoryRecords;
    use cloud::{Expect, RecordKey, Records};
    use serde_json::json;

    fn records(cloud: &FaultyCloud) -> Arc<dyn Records> {
        Arc::new(cloud.records(Arc::new(MemoryRecords::new(Arc::new(SimClock::default())))))
    }

    fn key() -> RecordKey {
        RecordKey::new("p", "s")
    }

    #[tokio::test]
    async fn a_call_that_fails_before_has_done_nothing() {
        let cloud = FaultyCloud::new();
        let records = records(&cloud);
        cloud.at(1, Fault::Before);
        assert!(matches!(records.put(key(), json!(1), Expect::Absent).await, Err(Error::Unavailable(_))));
        assert_eq!(records.get(&key()).await.unwrap(), None);
        assert_eq!(cloud.calls(), ["records.transact", "records.get"]);
    }

    #[tokio::test]
    async fn a_call_that_fails_after_has_taken_effect() {
        let cloud = FaultyCloud::new();
        let records = records(&cloud);
        cloud.at(1, Fault::After);
        assert!(matches!(records.put(key(), json!(1), Expect::Absent).await, Err(Error::Unclear(_))));
        assert_eq!(records.get(&key()).await.unwrap().unwrap().value, json!(1));
    }

    #[tokio::test]
    async fn a_repeated_conditional_write_hears_that_it_lost_to_itself() {
        let cloud = FaultyCloud::new();
        let records = records(&cloud);
        cloud.at(1, Fault::Repeat);
        assert!(records.put(key(), json!(1), Expect::Absent).await.unwrap_err().is_condition_failed());
        assert_eq!(records.get(&key()).await.unwrap().unwrap().value, json!(1));
    }

    #[tokio::test]
    async fn a_seed_decides_which_calls_fail() {
        async fn outcomes(seed: u64) -> Vec<bool> {
            let cloud = FaultyCloud::new();
            let records = records(&cloud);
            cloud.at_random(seed, 300, &[Fault::Before]);
            let mut outcomes = Vec::new();
            for _ in 0..100 {
                outcomes.push(records.get(&key()).await.is_ok());
            }
            cloud.heal();
            assert!(records.get(&key()).await.is_ok());
            outcomes
        }
        let first = outcomes(1).await;
        assert_eq!(first, outcomes(1).await);
        assert_ne!(first, outcomes(2).await);
        assert!(first.contains(&true) && first.contains(&false));
    }
}
