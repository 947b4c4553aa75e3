//! Bugs planted into a good history: each must be caught by both judges.

use super::history::{History, Op, Outcome, Value, What};
use super::{chain, search};

type Planted = fn(&mut History) -> bool;

const BUGS: [(&str, Planted); 5] = [
    ("a lost update: a swap is acknowledged that lost", lost_update),
    ("a stale read", stale_read),
    ("a fork: two swaps replace one value", fork),
    ("a dropped effect: an acknowledged swap that nobody ever sees", dropped_effect),
    ("an acknowledgement before the swap", early_acknowledgement),
];

pub fn each_is_caught(good: &History) {
    for (name, plant) in BUGS {
        let mut bad = good.clone();
        assert!(plant(&mut bad), "{name} could not be planted");
        assert!(chain::check(&bad).is_err(), "the chain does not show {name}");
        assert!(search::check(&bad).is_err(), "the search does not find {name}");
    }
}

fn lost_update(history: &mut History) -> bool {
    let replaced: Vec<_> = history.ops.iter().filter(|op| op.is_won()).map(|op| (op.on, replaced(op))).collect();
    let lost = |op: &&mut Op| {
        matches!(op.what, What::Swap { outcome: Outcome::Lost(_), .. })
            && replaced.contains(&(op.on, self::replaced(op)))
    };
    let Some(op) = history.ops.iter_mut().find(lost) else { return false };
    if let What::Swap { outcome, .. } = &mut op.what {
        *outcome = Outcome::Won;
    }
    true
}

fn replaced(op: &Op) -> Option<Value> {
    match op.what {
        What::Swap { old, .. } => Some(old),
        What::Read { .. } => None,
    }
}

/// A swap, and a read of the same ref that began after it was acknowledged.
fn seen_swap(history: &History) -> Option<(usize, usize)> {
    let won = |at: &usize| history.ops[*at].is_won();
    (0..history.ops.len()).filter(won).find_map(|swap| {
        let (on, end) = (history.ops[swap].on, history.ops[swap].end);
        let after = |op: &Op| op.on == on && op.start > end && matches!(op.what, What::Read { .. });
        Some((swap, history.ops.iter().position(after)?))
    })
}

fn stale_read(history: &mut History) -> bool {
    let Some((swap, read)) = seen_swap(history) else { return false };
    let What::Swap { old, .. } = history.ops[swap].what else { return false };
    history.ops[read].what = What::Read { saw: old };
    true
}

fn fork(history: &mut History) -> bool {
    let Some(op) = history.ops.iter().find(|op| op.is_won()).cloned() else { return false };
    let mut other = op;
    if let What::Swap { new, .. } = &mut other.what {
        *new = Some(u32::MAX);
    }
    history.ops.push(other);
    true
}

fn dropped_effect(history: &mut History) -> bool {
    // Whatever came of the swap is gone, and readers go on seeing what was before.
    let Some((swap, read)) = seen_swap(history) else { return false };
    let What::Swap { old, .. } = history.ops[swap].what else { return false };
    let (on, start, end) = (history.ops[swap].on, history.ops[swap].start, history.ops[swap].end);
    let read = Op { what: What::Read { saw: old }, ..history.ops[read].clone() };
    let before = |op: &Op| op.on != on || op.end < start;
    let swap = history.ops[swap].clone();
    history.ops.retain(before);
    history.ops.push(swap);
    history.ops.push(Op { start: end + 1, end: end + 2, ..read });
    true
}

fn early_acknowledgement(history: &mut History) -> bool {
    // The answer left before the swap: somebody who began after it does not see it yet, and does a little later.
    let Some((swap, read)) = seen_swap(history) else { return false };
    let What::Swap { old, .. } = history.ops[swap].what else { return false };
    let end = history.ops[swap].end;
    let stale = Op { what: What::Read { saw: old }, ..history.ops[read].clone() };
    // Between the acknowledgement and whatever else came.
    for op in &mut history.ops {
        op.start = op.start * 4 + 2;
        op.end = op.end * 4 + 2;
    }
    let round = history.ops[swap].round;
    history.ops.push(Op { start: end * 4 + 3, end: end * 4 + 4, round, ..stale });
    true
}
