//! The consumer of the tail queue: logs are followed for as long as someone watches.

use domain::TailMessage;
use function::App;
use futures::future::join_all;
use serde_json::Value;

use crate::batch::failures;

/// Takes an SQS event; each message is one log that someone follows.
pub async fn tail(app: &App, event: Value) -> Value {
    let records = event["Records"].as_array().cloned().unwrap_or_default();
    let failed = join_all(records.iter().map(|record| one(app, record))).await;
    failures(failed.into_iter().flatten())
}

/// The message's id, when it must come again.
async fn one(app: &App, record: &Value) -> Option<String> {
    let id = record["messageId"].as_str().unwrap_or_default().to_owned();
    let message: TailMessage = match serde_json::from_str(record["body"].as_str().unwrap_or_default()) {
        Ok(message) => message,
        Err(error) => {
            // It will not read better the next time.
            tracing::error!(%error, id, "a tail message could not be read");
            return None;
        }
    };
    match app.domain.connections.run_tail(&message).await {
        Ok(()) => None,
        Err(error) => {
            tracing::warn!(%error, connection = %message.connection, tail = message.tail, "a tail broke off");
            Some(id)
        }
    }
}
