//! Who asks, and in which request.

use identity::Principal;

/// A proven principal with the request that it makes. Every public domain method takes one; what the platform
/// does by itself (workers, fan-out) has methods of its own that no route reaches.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Principal,
    /// Joins everything that one request set off; written into events and audit entries.
    pub correlation_id: String,
    /// The `Idempotency-Key` of the request, when it had one.
    pub idempotency_token: Option<String>,
}

impl Caller {
    pub fn new(principal: Principal, correlation_id: impl Into<String>) -> Self {
        Self { principal, correlation_id: correlation_id.into(), idempotency_token: None }
    }
}
