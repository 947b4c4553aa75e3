//! Every port call of the main operations fails once: before it took effect, after it took effect, and done twice.
#![allow(clippy::unwrap_used)]

#[path = "../world/mod.rs"]
mod world;

mod editing;
mod files;
mod house;
mod jobs;
mod members;
mod projects;
mod releases;
