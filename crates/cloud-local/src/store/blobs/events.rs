//! What happened to an object, for those who listen.

use cloud::{BlobKey, ETag, Millis};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectEventKind {
    Created,
    Removed,
}

/// One change of one object, told after it is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEvent {
    pub kind: ObjectEventKind,
    pub bucket: String,
    pub key: BlobKey,
    /// Bytes; 0 when removed.
    pub length: u64,
    /// Empty when removed.
    pub etag: ETag,
    pub at: Millis,
    /// Counts up; of two events of one object the later has the greater number.
    pub sequence: u64,
}
