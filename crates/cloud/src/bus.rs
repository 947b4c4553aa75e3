//! Events for whoever subscribes from outside: an Amazon EventBridge bus. One machine has none (ADR 13).

use serde_json::Value;

use crate::limits::BUS_EVENT_MAX;
use crate::{Error, Millis, Result};

/// One event as subscribers match it.
#[derive(Clone, Debug, PartialEq)]
pub struct BusEvent {
    pub source: String,
    /// `detail-type` of EventBridge.
    pub kind: String,
    pub time: Millis,
    /// What it is about.
    pub resources: Vec<String>,
    pub detail: Value,
}

impl BusEvent {
    /// What the bus counts (bytes; EventBridge, "Calculating PutEvents event entry size").
    pub fn size(&self) -> usize {
        const TIME: usize = 14;
        let resources: usize = self.resources.iter().map(String::len).sum();
        TIME + self.source.len() + self.kind.len() + resources + self.detail.to_string().len()
    }

    /// `Error::TooLarge` when no bus takes it.
    pub fn check(&self) -> Result<()> {
        let size = self.size();
        if size <= BUS_EVENT_MAX {
            return Ok(());
        }
        let (actual, limit) = (size as u64, BUS_EVENT_MAX as u64);
        Err(Error::TooLarge { what: format!("an event `{}`", self.kind), actual, limit })
    }
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// The bus has it.
    Taken,
    /// The bus did not take it, and why.
    Refused(String),
}

/// A bus: at least once, no order.
#[async_trait::async_trait]
pub trait EventBus: Send + Sync {
    /// Puts events on the bus. The answer has one outcome for each, in order; an error means that none is known to
    /// have been taken.
    async fn publish(&self, events: &[BusEvent]) -> Result<Vec<Published>>;
}
