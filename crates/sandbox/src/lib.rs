//! Runs somebody else's code on this machine: builds and functions of users.
//!
//! The best layers that the machine has are used: bubblewrap (own namespaces, an own file tree, slirp4netns for
//! the way out), otherwise landlock with seccomp; resource limits always. Without any of them nothing is run.
//! The kernel is shared: this isolates developers from each other, it does not hold a hostile tenant. Where a whole
//! machine is there for one tenant (`SandboxSettings::own_machine`), the machine is what holds.
//!
//! **Invariant**: sandboxed code sees no platform environment variable, none of the `hidden` folders unless a
//! mount names a part of them, no port of the host's loopback, and does not outlive its [`Sandboxed`].
//!
//! A program that uses this crate calls [`run_if_init`] first in `main`: the program itself is started again
//! inside the sandbox, where it sets limits, opens bridges and then becomes the parent of the sandboxed program.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bubblewrap;
mod cgroup;
mod detect;
mod init;
mod lockdown;
mod network;
mod process_tree;
mod running;
mod seccomp;
mod spawn;
mod spawner;
mod spec;
mod tools;

pub use detect::{Allowed, Sandbox, SandboxSettings, Unavailable};
pub use init::run_if_init;
pub use lockdown::hide_this_process;
pub use running::{Exit, Killer, Sandboxed};
pub use spawn::SpawnError;
pub use spec::{Bridge, Limits, Mount, Network, Spec};
pub use tools::{Tool, Tools};
