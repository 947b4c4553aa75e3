//! The whole door over real HTTP: routes, authorizers, integrations, limits, static objects, sites and git's stream.
#![allow(clippy::unwrap_used)]

mod objects;
mod platform;
mod sites;
mod streaming;
mod world;
