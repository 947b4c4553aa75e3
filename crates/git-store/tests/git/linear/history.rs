//! What was asked and answered, with the moments between which it happened.

/// A value of a ref: a commit, by its number. `None`: the ref does not exist.
pub type Value = Option<u32>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Read {
        saw: Value,
    },
    /// Compare-and-swap.
    Swap {
        old: Value,
        new: Value,
        outcome: Outcome,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Won,
    /// Refused, because the ref was at this value.
    Lost(Value),
    /// No answer came: it happened, or not.
    Unclear,
}

#[derive(Clone, Debug)]
pub struct Op {
    pub on: usize,
    pub what: What,
    /// Ticks of one counter: it happened after `start` and before `end`.
    pub start: u64,
    pub end: u64,
    /// Rounds follow one another; no operation is in two.
    pub round: usize,
}

impl Op {
    pub fn is_won(&self) -> bool {
        matches!(self.what, What::Swap { outcome: Outcome::Won, .. })
    }

    /// The value that the operation says the ref had.
    pub fn saw(&self) -> Option<Value> {
        match self.what {
            What::Read { saw } => Some(saw),
            What::Swap { outcome: Outcome::Lost(current), .. } => Some(current),
            What::Swap { .. } => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct History {
    pub ops: Vec<Op>,
    /// Where each ref was in the beginning.
    pub first: Vec<Value>,
}
