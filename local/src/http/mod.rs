//! HTTP/1.1 from the socket to a checked request: strict framing, bounded heads and bodies, no HTTP/2.
//!
//! **Invariant**: nothing behind this module sees a request whose head was not checked.

mod body;
mod head;
mod linger;
mod reply;
mod server;

pub use body::{BodyError, BodyLimits, patient, read_body};
pub use head::{HeadError, Target, check_head};
pub use reply::{Reply, ReplyBody, empty, full, problem, refuse, streamed};
pub use server::{Door, ServerLimits, serve};
