//! What every adapter of a port must do. An adapter's test makes an adapter and hands it over; the suite panics with
//! what was broken. Names are new in each run, so that a suite may run against something that lasts.

mod blobs;
mod blobs_races;
mod blobs_uploads;
mod except;
mod logs;
mod parameters;
mod queue;
mod records;
mod records_feed;
mod sockets;
mod stacks;

use cloud::{Entropy, Error, Result, SystemClock, SystemEntropy};

pub use blobs::{blobs, blobs_without_parts};
pub use except::Except;
pub use logs::{logs, logs_without_ties};
pub use parameters::parameters;
pub use queue::{ACKNOWLEDGED_LATE, ACKNOWLEDGED_TWICE, EXTENDED_LATE, RECEIVES_MAX, queue, queue_except};
pub use records::records;
pub use records_feed::change_feed;
pub use sockets::{SocketPeer, SocketPeers, sockets};
pub use stacks::{stacks, stacks_except};

/// A name that no other run uses.
fn fresh(what: &str) -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    format!("{what}-{}", entropy.ulid(cloud::Clock::now(&SystemClock)))
}

#[track_caller]
fn ok<T>(answer: Result<T>) -> T {
    match answer {
        Ok(value) => value,
        Err(error) => panic!("the adapter failed: {error} ({error:?})"),
    }
}

#[track_caller]
fn invalid<T>(answer: Result<T>, what: &str) {
    match answer {
        Err(Error::Invalid(_)) => {}
        Err(error) => panic!("{what} must be `Invalid`, not {error:?}"),
        Ok(_) => panic!("{what} must be refused"),
    }
}

#[track_caller]
fn too_large<T>(answer: Result<T>, what: &str) {
    match answer {
        Err(Error::TooLarge { actual, limit, .. }) => assert!(actual > limit, "{what}: {actual} within {limit}"),
        Err(error) => panic!("{what} must be `TooLarge`, not {error:?}"),
        Ok(_) => panic!("{what} must be refused"),
    }
}

#[track_caller]
fn lost<T>(answer: Result<T>, what: &str) -> Option<usize> {
    match answer {
        Err(Error::ConditionFailed { index, .. }) => index,
        Err(error) => panic!("{what} must be `ConditionFailed`, not {error:?}"),
        Ok(_) => panic!("{what} must lose"),
    }
}

#[track_caller]
fn absent<T>(answer: Result<T>, what: &str) {
    match answer {
        Err(Error::NotFound(_)) => {}
        Err(error) => panic!("{what} must be `NotFound`, not {error:?}"),
        Ok(_) => panic!("{what} must not exist"),
    }
}

#[track_caller]
fn stale<T>(answer: Result<T>, what: &str) {
    match answer {
        Err(Error::Stale(_)) => {}
        Err(error) => panic!("{what} must be `Stale`, not {error:?}"),
        Ok(_) => panic!("{what} must be refused"),
    }
}
