//! The parts that a function is made of, and what is put around its routes.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use cloud::{Clock, Entropy, Records};
use domain::Domain;
use identity::Identity;

use crate::{Config, idempotency, method_not_allowed, not_found, observe};

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub identity: Arc<Identity>,
    pub domain: Arc<Domain>,
    pub config: Arc<Config>,
    /// For idempotency keys alone; everything else goes through `domain` and `identity`.
    pub records: Arc<dyn Records>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// Puts around `router` what holds for every route: request ids, logging, problems, conditional reads, security
/// headers and idempotency keys; and answers for what is not routed.
pub fn finish(router: Router<App>, app: App) -> Router {
    let area = app.config.area.clone().unwrap_or_default();
    wrap(router, area, &app.records, &app.clock, &app.entropy).with_state(app)
}

fn wrap<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    area: String,
    records: &Arc<dyn Records>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Router<S> {
    let kept = idempotency::Kept::new(records.clone(), clock.clone(), entropy.clone());
    let observed = observe::Observed::new(area, clock.clone(), entropy.clone());
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(kept, idempotency::replay))
        .layer(from_fn_with_state(observed, observe::observe))
}

#[cfg(test)]
mod tests;
