//! The wire: packet lines, the two services, two protocol versions (gitprotocol-common, -pack, -v2).

mod advertise;
mod commands;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gzip;
mod keep_alive;
mod listing;
mod negotiate;
pub(crate) mod pktline;
mod receive;
mod report;
mod request;
mod upload;

pub(crate) use advertise::{AGENT, advertise};
pub(crate) use gzip::gunzip;
