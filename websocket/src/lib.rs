//! WebSocket connections: what clients say, the delivery of committed events, and logs that are followed.
//!
//! Three functions share this library (variable `AREA`): [`route`] answers the gateway's `$connect`, `$disconnect` and
//! `$default`, [`fan_out`] consumes the change feed, [`tail`] consumes the tail queue.
//!
//! **Invariant**: nothing is decided here but who connects; what may be followed, the domain decides.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod area;
mod ended;
mod fan_out;
mod message;
mod origin;
mod route;
mod tail;

pub use area::{Area, UnknownArea};
pub use fan_out::fan_out;
pub use route::route;
pub use tail::tail;
