//! Stock `git` and hostile clients against the store, over a loopback HTTP server.

#![allow(clippy::unwrap_used, dead_code)]

mod blobs;
mod clients;
mod machine;
