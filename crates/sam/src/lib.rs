//! SAM templates and `samconfig.toml`: parsed, resolved, and made into one model of a system.
//!
//! The same model describes users' systems and Workroom's own `template.yaml`.
//!
//! **Invariant**: pure. No files, no network, no clock; every size and depth is bounded; nothing panics on any input.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod account;
mod diagnose;
mod evaluate;
pub mod fence;
mod filter;
mod functions;
mod globals;
mod json;
mod model;
mod names;
mod node;
mod parameters;
mod places;
mod problem;
mod resolve;
mod routes;
mod samconfig;
mod template;
mod yaml;

pub use account::AccountNames;
pub use diagnose::{
    Diagnose, DiagnosedEnvironment, Diagnostic, Severity, diagnose_settings, diagnose_template, pointer_of,
};
pub use filter::Filters;
pub use model::*;
pub use names::{Names, Resource};
pub use places::Span;
pub use problem::Problem;
pub use resolve::{Resolve, resolve};
pub use routes::{Match, RouteTable};
pub use samconfig::{DeploySettings, SAMCONFIG_BYTES_MAX, SamConfig, SamConfigError};
pub use template::{Inclusion, Mark, TEMPLATE_BYTES_MAX, Template, TemplateError};
