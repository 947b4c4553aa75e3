//! What the end-to-end tests share: a platform of their own each, or one that is deployed (`WORKROOM_TEST_PLATFORM_URL`),
//! and clients as strangers write them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by ending")]

mod client;
mod counting;
pub mod hostile;
mod platform;
mod project;
mod site;
mod socket;
pub mod tools;

use std::path::PathBuf;

pub use client::{Answer, Client};
pub use counting::CountingDoor;
pub use platform::{Platform, deployed, program};
pub use project::{PERSON, Project, Team, join};
pub use site::Site;
pub use socket::{Socket, address};

/// The repository's root folder.
pub fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
