//! Batches of the tail queue, with partial failures.

use domain::TailMessage;
use function::App;
use serde_json::{Value, json};

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
