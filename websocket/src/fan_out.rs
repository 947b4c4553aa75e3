//! The consumer of the table's stream: committed events reach who follows their project.

use domain::{EventEnvelope, JobId};
use function::App;
use identity::ProjectId;
use serde_json::Value;

use crate::batch::failures;

/// Takes a DynamoDB stream event. The answer names the first record that failed: the stream goes on from there, so
/// that order holds.
pub async fn fan_out(app: &App, event: Value) -> Value {
    for record in event["Records"].as_array().into_iter().flatten() {
        let sequence = record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default();
        let Some(envelope) = envelope(record) else { continue };
        if let Err(error) = consume(app, &envelope).await {
            tracing::error!(%error, event = envelope.id, project = envelope.project, "an event was not delivered");
            return failures([sequence.to_owned()]);
        }
    }
    failures([])
}

/// The event that a record inserts; `None` when it is about something else.
fn envelope(record: &Value) -> Option<EventEnvelope> {
    let key = record["dynamodb"]["Keys"]["sk"]["S"].as_str()?;
    if record["eventName"] != "INSERT" || !key.starts_with("event#") {
        return None;
    }
    let text = record["dynamodb"]["NewImage"]["value"]["S"].as_str()?;
    match serde_json::from_str(text) {
        Ok(envelope) => Some(envelope),
        Err(error) => {
            tracing::error!(%error, key, "an event could not be read");
            None
        }
    }
}

/// Each step may be taken twice: the stream delivers at least once.
async fn consume(app: &App, envelope: &EventEnvelope) -> domain::Result<()> {
    app.domain.connections.deliver(envelope).await?;
    let Some(job) = envelope.resource.strip_prefix("job/") else { return Ok(()) };
    let (Ok(project), Ok(job)) = (ProjectId::parse(envelope.project.as_str()), JobId::parse(job)) else {
        return Ok(());
    };
    app.domain.jobs.ensure_sent(&project, &job).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(kind: &str, key: &str, value: &Value) -> Value {
        json!({
            "eventName": kind,
            "dynamodb": {
                "SequenceNumber": "7",
                "Keys": { "pk": { "S": "project#1" }, "sk": { "S": key } },
                "NewImage": { "value": { "S": value.to_string() } },
            },
        })
    }

    fn stored() -> Value {
        json!({
            "id": "e1", "type": "git.pushed", "source": "workroom", "time": 1, "project": "p", "actor": "a",
            "resource": "branch/main", "correlation_id": "c", "idempotency_token": null, "sequence": 3, "detail": {},
        })
    }

    #[test]
    fn an_inserted_event_is_read() {
        assert_eq!(envelope(&record("INSERT", "event#0000000000000003", &stored())).unwrap().sequence, 3);
    }

    #[test]
    fn other_changes_are_passed_over() {
        assert!(envelope(&record("MODIFY", "event#0000000000000003", &stored())).is_none());
        assert!(envelope(&record("INSERT", "event-head", &stored())).is_none());
        assert!(envelope(&record("INSERT", "event#0000000000000003", &json!("damaged"))).is_none());
    }
}
