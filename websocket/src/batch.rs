//! Batches from the change feed and from the tail queue, with partial failures.

use domain::{EventEnvelope, JobMessage, TailMessage};
use function::App;
use serde_json::{Value, json};

/// Delivers the events of a stream batch. The first that fails is named, and with it all after it come again: order
/// is kept ("Reporting batch item failures with DynamoDB streams").
pub async fn fan_out(app: &App, event: Value) -> Value {
    for record in event["Records"].as_array().into_iter().flatten() {
        let Some(envelope) = envelope(record) else { continue };
        if let Err(error) = deliver(app, &envelope).await {
            tracing::error!(project = envelope.project, sequence = envelope.sequence, %error, "delivering an event");
            return json!({ "batchItemFailures": [{ "itemIdentifier": record["dynamodb"]["SequenceNumber"] }] });
        }
    }
    json!({ "batchItemFailures": [] })
}

/// The event that a stream record inserts; `None` for any other record.
fn envelope(record: &Value) -> Option<EventEnvelope> {
    let change = &record["dynamodb"];
    let is_event = change["Keys"]["sk"]["S"].as_str()?.starts_with("event#");
    if !is_event || record["eventName"] != "INSERT" {
        return None;
    }
    let text = change["NewImage"]["value"]["S"].as_str()?;
    match serde_json::from_str(text) {
        Ok(envelope) => Some(envelope),
        Err(error) => {
            // It would fail again for ever, and hold up all that come after it.
            tracing::error!(%error, sort = %change["Keys"]["sk"]["S"], "a stored event cannot be read");
            None
        }
    }
}

async fn deliver(app: &App, envelope: &EventEnvelope) -> domain::Result<()> {
    if envelope.kind == "job.created" {
        let named = json!({ "project": envelope.project, "job": envelope.detail["job"] });
        if let Ok(message) = serde_json::from_value::<JobMessage>(named) {
            app.domain.jobs.ensure_sent(&message.project, &message.job).await?;
        }
    }
    app.domain.connections.deliver(envelope).await
}

/// Follows logs for the messages of a queue batch. A message that fails comes again.
pub async fn tail(app: &App, event: Value) -> Value {
    let mut failures = Vec::new();
    for record in event["Records"].as_array().into_iter().flatten() {
        let Ok(message) = serde_json::from_str::<TailMessage>(record["body"].as_str().unwrap_or_default()) else {
            tracing::error!(message = %record["messageId"], "a message of the tail queue cannot be read");
            continue;
        };
        if let Err(error) = app.domain.connections.run_tail(&message).await {
            tracing::error!(connection = %message.connection, %error, "following a log");
            failures.push(json!({ "itemIdentifier": record["messageId"] }));
        }
    }
    json!({ "batchItemFailures": failures })
}
