//! SAM templates and `samconfig.toml`: parsed, resolved, and made into one model of a system.
//!
//! The same model describes users' systems and Workroom's own `template.yaml`.
//!
//! **Invariant**: pure. No files, no network, no clock; every size and depth is bounded; nothing panics on any input.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod model;
mod names;

pub use model::*;
pub use names::{Names, Resource};
