//! The routes, by resource.

pub mod accounts;
pub mod admin;
pub mod commits;
pub mod diagnostics;
pub mod drafts;
pub mod environments;
pub mod events;
pub mod files;
pub mod functions;
pub mod git;
pub mod jobs;
pub mod lfs;
pub mod lfs_objects;
pub mod me;
pub mod members;
pub mod merges;
pub mod presence;
pub mod projects;
pub mod public;
pub mod repository;
pub mod search;
pub mod sessions;
pub mod sockets;
pub mod targets;
pub mod tokens;
