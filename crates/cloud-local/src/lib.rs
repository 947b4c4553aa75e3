//! The ports on this machine's disk.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod access_keys;
mod stacks;
mod store;
pub mod wire;

pub use stacks::{Discarded, LocalStacks, LocalStacksSettings, Site, SiteFile, Streamed};
pub use store::{
    Bucket, CompletedPart, DelimitedPage, LocalBlobs, LocalLogs, LocalParameters, LocalQueue, LocalRecords, LogGroup,
    ObjectEvent, ObjectEventKind, Presigner, QueueCounts, QueueSettings, Store, StoreSettings, Upload, UploadPart,
    UserMetadata,
};
