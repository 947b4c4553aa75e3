//! See ARCHITECTURE.md.
pub mod memory;
