//! Refs are linearizable: whatever many writers and readers saw of them, while calls of the store fail, processes end
//! and packs are compacted, could have been seen had everything happened at one moment each, in one order.
//!
//! Two judges look at each history: [`chain`] at all of it, from the one chain of values that compare-and-swap makes;
//! [`search`] at windows of it, by trying orders (Wing and Gong 1993), knowing nothing of chains.

mod chain;
mod history;
mod planted;
mod search;
mod workload;

use history::History;

fn judge(history: &History) -> Result<(), String> {
    chain::check(history)?;
    search::check(history)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refs_are_linearizable_under_faults_restarts_and_compaction() {
    for seed in 0..2 {
        let history = workload::run(seed, 9).await;
        let swaps = history.ops.iter().filter(|op| op.is_won()).count();
        assert!(swaps > 40, "a history in which little happens proves little: {swaps}");
        judge(&history).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        planted::each_is_caught(&history);
    }
}

/// As above, for long: `cargo test -p git-store --test git -- --ignored linearizable_for_long`.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes minutes"]
async fn refs_are_linearizable_for_long() {
    for seed in 100..160 {
        let history = workload::run(seed, 40).await;
        judge(&history).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}
