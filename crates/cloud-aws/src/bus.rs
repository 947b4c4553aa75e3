//! `EventBus` on Amazon EventBridge.
//!
//! A call takes ten events and 256 KiB, and may take some of its events and refuse others: those that were refused for
//! want of capacity are sent again, alone. A call whose answer is lost is made again, so that an event may come twice.

use std::ops::Range;
use std::sync::OnceLock;

use async_trait::async_trait;
use aws_sdk_eventbridge::Client;
use aws_sdk_eventbridge::types::{PutEventsRequestEntry, PutEventsResultEntry};
use aws_smithy_types::DateTime;
use cloud::limits::{BUS_BATCH_MAX, BUS_EVENT_MAX};
use cloud::{BusEvent, Error, EventBus, Published, Result};

use crate::attempts::Attempts;
use crate::{Aws, failure, is_busy};

/// One bus. The client is made by the first call.
pub struct EventBridgeBus {
    aws: Aws,
    name: String,
    client: OnceLock<Client>,
}

impl Aws {
    /// `name` is the bus's name or ARN.
    pub fn event_bus(&self, name: impl Into<String>) -> EventBridgeBus {
        EventBridgeBus { aws: self.clone(), name: name.into(), client: OnceLock::new() }
    }
}

impl EventBridgeBus {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(self.aws.config()))
    }

    fn entry(&self, event: &BusEvent) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.name)
            .source(&event.source)
            .detail_type(&event.kind)
            .time(DateTime::from_millis(event.time.0))
            .set_resources(Some(event.resources.clone()))
            .detail(event.detail.to_string())
            .build()
    }

    /// Sends one call's worth until each event is taken or refused for good.
    async fn put(&self, events: &[BusEvent]) -> Result<Vec<Published>> {
        let mut outcomes = vec![Published::Refused("it was not sent".into()); events.len()];
        let mut open: Vec<usize> = (0..events.len()).collect();
        let mut attempts = Attempts::default();
        loop {
            let entries = open.iter().map(|at| self.entry(&events[*at])).collect();
            let answer = self.client().put_events().set_entries(Some(entries)).send().await;
            let answer = match answer {
                Ok(answer) => answer,
                // What earlier calls took is taken.
                Err(error) if open.len() < events.len() => {
                    tracing::warn!(%error, bus = self.name, "putting the rest of the events");
                    return Ok(outcomes);
                }
                Err(error) => return Err(failure(format!("putting events on `{}`", self.name), error)),
            };
            if answer.entries().len() != open.len() {
                let count = answer.entries().len();
                return Err(Error::Corrupt(format!("an answer for {count} of {} events", open.len())));
            }
            let mut again = Vec::new();
            for (at, entry) in open.iter().zip(answer.entries()) {
                outcomes[*at] = outcome(entry);
                if entry.error_code().is_some_and(is_busy) {
                    again.push(*at);
                }
            }
            open = again;
            if open.is_empty() || !attempts.again().await {
                return Ok(outcomes);
            }
        }
    }
}

fn outcome(entry: &PutEventsResultEntry) -> Published {
    match entry.error_code() {
        Some(code) => Published::Refused(format!("{code}: {}", entry.error_message().unwrap_or("no reason given"))),
        None => Published::Taken,
    }
}

/// The next events that fit into one call, from `start`.
fn call(events: &[BusEvent], start: usize) -> Range<usize> {
    let mut bytes = 0;
    let fits = events[start..].iter().take(BUS_BATCH_MAX).take_while(|event| {
        bytes += event.size();
        bytes <= BUS_EVENT_MAX
    });
    start..start + fits.count()
}

#[async_trait]
impl EventBus for EventBridgeBus {
    async fn publish(&self, events: &[BusEvent]) -> Result<Vec<Published>> {
        for event in events {
            event.check()?;
        }
        let mut outcomes = Vec::with_capacity(events.len());
        while outcomes.len() < events.len() {
            let range = call(events, outcomes.len());
            match self.put(&events[range.clone()]).await {
                Ok(of_call) => outcomes.extend(of_call),
                Err(error) if outcomes.is_empty() => return Err(error),
                Err(error) => outcomes.extend(range.map(|_| Published::Refused(error.to_string()))),
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use cloud::Millis;
    use serde_json::json;

    use super::*;

    fn event(bytes: usize) -> BusEvent {
        let empty = BusEvent {
            source: "s".into(),
            kind: "k".into(),
            time: Millis(0),
            resources: Vec::new(),
            detail: json!(""),
        };
        let detail = json!("x".repeat(bytes - empty.size()));
        BusEvent { detail, ..empty }
    }

    #[test]
    fn a_call_has_ten_events_and_as_many_bytes_as_are_taken() {
        let small: Vec<_> = (0..25).map(|_| event(100)).collect();
        assert_eq!((call(&small, 0), call(&small, 10), call(&small, 20)), (0..10, 10..20, 20..25));
        let half = BUS_EVENT_MAX / 2;
        let large = [event(half), event(half), event(half + 1), event(BUS_EVENT_MAX)];
        assert_eq!((call(&large, 0), call(&large, 2), call(&large, 3)), (0..2, 2..3, 3..4));
    }
}
