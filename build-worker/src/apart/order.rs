//! What goes to the build function, and what comes back.

use std::collections::BTreeMap;

use cloud::{Presigned, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::build::{PackageKind, Plan};

/// What the function is asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Of this form; a function of another one refuses.
    pub version: u32,
    /// Keeps projects' caches apart.
    pub project: String,
    /// The folder of the template within the checkout; empty for its root.
    pub base: String,
    pub plan: Plan,
    pub source: Source,
    /// Kept dependencies by their keys among the blobs.
    pub cache: BTreeMap<String, Presigned>,
    /// A place for each package.
    pub packages: Vec<Presigned>,
    /// Places for dependencies to keep.
    pub keeps: Vec<Presigned>,
    /// Something is there once the build is to stop.
    pub stop: Presigned,
    /// The longest that the build may take.
    pub seconds: u64,
}

impl Order {
    pub const VERSION: u32 = 1;
}

/// The checkout as a zip.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Source {
    pub at: Presigned,
    pub sha256: Sha256Digest,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A line of the log.
    Line(String),
    /// Nothing to say, and not dead.
    Alive,
    Done(Outcome),
    /// The project's own doing.
    Failed(String),
    Stopped,
    /// The function's or the platform's trouble.
    Broken(String),
}

/// What was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub packages: Vec<Upload>,
    pub kept: Vec<Kept>,
    pub notes: Vec<String>,
}

/// A package that was put to one of the places for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    pub name: String,
    pub kind: PackageKind,
    pub sha256: Sha256Digest,
    pub length: u64,
    /// Which of [`Order::packages`].
    pub place: usize,
}

/// Dependencies that were put to one of the places for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The blob that they are to be.
    pub key: String,
    pub length: u64,
    /// Which of [`Order::keeps`].
    pub place: usize,
}
