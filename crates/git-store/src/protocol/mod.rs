//! The wire: packet lines, the two services, two protocol versions (gitprotocol-common, -pack, -v2).

mod advertise;
mod gzip;
mod pktline;
mod receive;
mod request;
mod upload;

pub(crate) use advertise::advertise;
pub(crate) use gzip::gunzip;
