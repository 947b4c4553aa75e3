//! The WebSocket API: connections come and go, clients follow projects and logs, committed events fan out.
//!
//! Three functions of the template share this library, each with an area of its own: [`route`] answers the API's
//! routes, [`fan_out`] consumes the table's stream, [`tail`] consumes the tail queue.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod batch;
mod fan_out;
mod message;
mod route;
mod tail;

pub use fan_out::fan_out;
pub use route::route;
pub use tail::tail;
