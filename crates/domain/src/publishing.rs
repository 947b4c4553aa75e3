//! Committed events on the bus, for subscribers outside of the platform.

use cloud::{BusEvent, Published};
use serde_json::json;

use crate::events::{EventEnvelope, Events};
use crate::{Error, Result};

impl Events {
    /// For the consumer of the change feed: puts `events` on the bus, the envelope being the detail. The answer has one
    /// outcome for each; where there is no bus nobody can subscribe, and that is as good as taken.
    pub async fn publish(&self, events: &[EventEnvelope]) -> Result<Vec<Published>> {
        match self.bus() {
            Some(bus) if !events.is_empty() => {
                let events: Vec<BusEvent> = events.iter().map(bus_event).collect();
                bus.publish(&events).await.map_err(Error::from)
            }
            _ => Ok(vec![Published::Taken; events.len()]),
        }
    }
}

/// The event as subscribers match it. One that no bus takes is a pointer to itself.
fn bus_event(event: &EventEnvelope) -> BusEvent {
    let made = BusEvent {
        source: event.source.clone(),
        kind: event.kind.clone(),
        time: event.time,
        resources: vec![format!("project/{}", event.project), event.resource.clone()],
        detail: json!(event),
    };
    if made.check().is_ok() {
        return made;
    }
    let pointer = json!({ "truncated": true, "href": event.href() });
    BusEvent { detail: json!(EventEnvelope { detail: pointer, ..event.clone() }), ..made }
}

#[cfg(test)]
mod tests {
    use cloud::Millis;
    use cloud::limits::BUS_EVENT_MAX;

    use super::*;

    fn event(text: usize) -> EventEnvelope {
        EventEnvelope {
            id: "01J".into(),
            kind: "git.pushed".into(),
            source: "workroom".into(),
            time: Millis(1_700_000_000_123),
            project: "01P".into(),
            actor: "01A".into(),
            resource: "branch/main".into(),
            correlation_id: "c".into(),
            idempotency_token: Some("t".into()),
            sequence: 7,
            detail: json!({ "text": "x".repeat(text) }),
        }
    }

    #[test]
    fn the_envelope_is_the_detail() {
        let (told, made) = (event(3), bus_event(&event(3)));
        assert_eq!(serde_json::from_value::<EventEnvelope>(made.detail).unwrap(), told);
        assert_eq!((made.source.as_str(), made.kind.as_str(), made.time), ("workroom", "git.pushed", told.time));
        assert_eq!(made.resources, ["project/01P", "branch/main"]);
    }

    #[test]
    fn an_event_that_no_bus_takes_points_to_itself() {
        let made = bus_event(&event(BUS_EVENT_MAX));
        assert!(made.check().is_ok());
        assert_eq!(made.detail["detail"], json!({ "truncated": true, "href": "/projects/01P/events?after=6&limit=1" }));
        assert_eq!((&made.detail["id"], &made.detail["sequence"]), (&json!("01J"), &json!(7)));
        let fits = BUS_EVENT_MAX - bus_event(&event(0)).size();
        assert!(bus_event(&event(fits)).detail["detail"]["truncated"].is_null());
        assert_eq!(bus_event(&event(fits + 1)).detail["detail"]["truncated"], true);
    }
}
