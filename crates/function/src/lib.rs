//! What every function shares: configuration, the caller, problems, paging, conditions, idempotency, tracing.
//!
//! A handler takes a [`Caller`] and strict [`Json`] or [`Query`] values, calls one domain method, and answers with one
//! of the shapes of this crate or a [`Problem`]. [`finish`] wraps a router with everything that holds for all routes.
//!
//! **Invariant**: this is the only crate that turns an error into HTTP, and [`Config`] the only code that reads the
//! environment.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod answer;
mod app;
mod assemble;
mod caller;
mod condition;
mod config;
mod door;
mod event_path;
mod extract;
mod idempotency;
mod metered;
pub mod metrics;
mod observe;
mod paging;
mod problem;
mod problem_kinds;
pub mod trace;

pub use address::base_address;
pub use answer::{Accepted, Created, NoContent, Tagged};
pub use app::{App, finish};
pub use assemble::{Assembly, Places};
pub use caller::{Caller, Correlation, CorrelationId, RequestId, principal_of};
pub use condition::{IfMatch, etag_header};
pub use config::{Config, ConfigErrors};
pub use door::{Refused, prove};
pub use event_path::as_routed;
pub use extract::{JSON_BODY_MAX, Json, Path, Query, RawBody};
pub use paging::{PageParams, PageView};
pub use problem::{LFS_MEDIA_TYPE, Problem, ProblemView, method_not_allowed, not_found};
