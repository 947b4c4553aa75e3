//! The wire: packet lines, the two services, two protocol versions (gitprotocol-common, -pack, -v2).

mod gzip;

pub(crate) use gzip::gunzip;
