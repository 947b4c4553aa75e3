//! What tests need: the conformance suites of the ports, a cloud that fails on demand, and a simulation's time and
//! randomness.
//!
//! **Invariant**: this crate knows the ports alone, no adapter.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod conformance;
pub mod emulator;
pub mod fault_proxy;
mod faulty;
pub mod memory;
mod sim;

pub use emulator::Emulator;
pub use fault_proxy::{FaultProxy, Rule, WireCall, WireFault};
pub use faulty::{
    Fault, FaultyBlobs, FaultyCloud, FaultyLogs, FaultyParameters, FaultyQueue, FaultyRecords, FaultySockets,
    FaultyStacks,
};
pub use sim::{SimClock, SimEntropy};
