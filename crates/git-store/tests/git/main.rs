//! Stock `git` and hostile clients against the store, over a loopback HTTP server.

#![allow(clippy::unwrap_used)]

mod blobs;
mod bundles;
mod clients;
mod compaction;
mod crashes;
mod differential_clients;
mod differential_fsck;
mod histories;
mod hostile;
mod leaving;
mod linear;
mod machine;
mod merging;
mod other_clients;
mod protocol;
mod raw;
mod reading;
mod searching;
mod stock;
mod telling;
mod trees;
