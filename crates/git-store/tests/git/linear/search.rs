//! Is there an order? All orders of a window that keep what was over before another began are tried, with a memory of
//! what was tried before. The values that can be the last of one window are the first of the next.

use std::collections::{BTreeSet, HashSet};

use super::history::{History, Op, Outcome, Value, What};

pub fn check(history: &History) -> Result<(), String> {
    let rounds = history.ops.iter().map(|op| op.round).max().map_or(0, |last| last + 1);
    for on in 0..history.first.len() {
        let mut values = BTreeSet::from([history.first[on]]);
        for round in 0..rounds {
            let ops: Vec<&Op> = history.ops.iter().filter(|op| op.on == on && op.round == round).collect();
            values = values.into_iter().flat_map(|value| endings(&ops, value)).collect();
            if values.is_empty() {
                return Err(format!("ref {on}: no order explains window {round}: {ops:?}"));
            }
        }
    }
    Ok(())
}

/// Values that the ref can have after the window.
fn endings(ops: &[&Op], first: Value) -> BTreeSet<Value> {
    assert!(ops.len() <= 64, "a window of {} operations", ops.len());
    let mut search = Search { ops, tried: HashSet::new(), endings: BTreeSet::new() };
    search.step(0, first);
    search.endings
}

struct Search<'a> {
    ops: &'a [&'a Op],
    tried: HashSet<(u64, Value)>,
    endings: BTreeSet<Value>,
}

impl Search<'_> {
    fn step(&mut self, done: u64, value: Value) {
        if !self.tried.insert((done, value)) {
            return;
        }
        let open: Vec<usize> = (0..self.ops.len()).filter(|at| done & (1 << at) == 0).collect();
        let Some(first_end) = open.iter().map(|at| self.ops[*at].end).min() else {
            self.endings.insert(value);
            return;
        };
        for at in open {
            let op = self.ops[at];
            // It cannot come before what was over when it began.
            if op.start > first_end {
                continue;
            }
            let done = done | (1 << at);
            match op.what {
                What::Read { saw } if saw == value => self.step(done, value),
                What::Swap { old, new, outcome: Outcome::Won } if old == value => self.step(done, new),
                What::Swap { old, outcome: Outcome::Lost(current), .. } if current == value && old != value => {
                    self.step(done, value);
                }
                What::Swap { old, new, outcome: Outcome::Unclear } => {
                    self.step(done, value);
                    if old == value {
                        self.step(done, new);
                    }
                }
                _ => {}
            }
        }
    }
}
