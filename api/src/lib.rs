//! The REST API: thin routes over the domain.
//!
//! A route parses what came, calls one domain method and shapes the answer. The wire types sit beside their route.
//! Every route has an `#[utoipa::path]`, from which the API document is made.
//!
//! **Invariant**: no route decides about permissions; the domain does, on the value that it uses.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod access;
mod area;
mod document;
mod rotation;
mod routes;
mod setup;
mod wire;

pub use area::{Area, UnknownArea, git_router, router};
pub use document::openapi;
pub use rotation::{RotationError, rotate_keys};
pub use setup::{SetupError, set_up};
