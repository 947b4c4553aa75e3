//! Long jobs from a queue: builds, deploys and removals.
//!
//! [`handle`] takes SQS events. A job is leased, kept by heartbeats, and brought to exactly one final state, however
//! often its message is delivered. Users' code runs in the sandbox alone, or in a function apart ([`apart`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
pub mod apart;
pub mod build;
mod building;
mod deploying;
mod fences;
mod importing;
mod log;
pub mod mask;
mod smudge;
mod source;
mod worker;

pub use access::{ACCESS, BUILD_ACCESS};
pub use importing::ImportSettings;
pub use worker::{Stop, Worker, handle};
