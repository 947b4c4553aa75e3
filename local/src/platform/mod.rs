//! The platform itself: its template read, its ports opened, its functions mounted, its sources started.

mod functions;
mod hosting;
mod mount;
mod start;
mod static_files;
mod template;
mod wiring;

pub use functions::{InProcess, event_handler, http_handler};
pub use start::Platform;
pub use static_files::synchronise;
pub use template::{Addresses, Resolved};
