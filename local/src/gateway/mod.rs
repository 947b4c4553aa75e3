//! Which API answers a request, and how: routes, authorizers, integrations, limits and gateway responses.

mod api;
mod authorize;
mod cors;
mod files;
mod mapping;
mod media;
mod object;
mod refusal;
mod stream;

use cloud::Entropy;

pub use api::{ApiGateway, ApiSettings, Routed};
pub use cors::is_preflight;
pub use files::{FileBody, StaticFile, serve_file};
pub use object::Buckets;
pub use refusal::Refusal;

/// An id in the form of API Gateway's request ids (a UUID, version 4).
pub(crate) fn request_id(entropy: &dyn Entropy) -> String {
    let mut bytes = entropy.bytes::<16>();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let n = u128::from_be_bytes(bytes);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        (n >> 96) as u32,
        (n >> 80) as u16,
        (n >> 64) as u16,
        (n >> 48) as u16,
        n & 0xffff_ffff_ffff
    )
}
