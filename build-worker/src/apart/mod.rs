//! Builds apart from the worker: in a function that can do nothing but build (ADR 12).
//!
//! The worker sends an [`Order`]: what to build, and presigned addresses of the checkout, of kept dependencies, and of
//! the places where packages go. The function answers with lines ([`Said`]), the last of which is the outcome. It has
//! no credentials that are good for anything, and what it hands over is looked at as what any stranger sends.

mod answer;
mod caller;
mod function;
mod order;
mod shelf;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

pub use caller::{AnswerStream, BuildFunctions, BuiltApart};
pub use function::BuildFunction;
pub use order::{Kept, Order, Outcome, Said, Source, Upload};

/// The area of the function that builds (`AREA`).
pub const AREA: &str = "build";

/// How often the function looks whether it is to stop, and says that it is alive.
const LOOK: Duration = Duration::from_secs(3);
/// The largest package (bytes, zipped): Lambda takes 250 MB unpacked, and a front end is no larger.
const PACKAGE_BYTES_MAX: u64 = 250 * 1024 * 1024;
/// The largest checkout on its way (bytes, zipped).
const SOURCE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Installations that one call keeps for later ones.
const KEEPS_MAX: usize = 8;

/// Why something did not come or go.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TransferError(pub String);

/// Presigned addresses, read and written.
#[async_trait]
pub trait Transfers: Send + Sync {
    /// Writes what is there to `file`; an error when it is longer than `most` bytes.
    async fn get(&self, from: &cloud::Presigned, file: &Path, most: u64) -> Result<(), TransferError>;
    async fn put(&self, to: &cloud::Presigned, file: &Path) -> Result<(), TransferError>;
    /// Whether there is anything.
    async fn exists(&self, at: &cloud::Presigned) -> Result<bool, TransferError>;
}
