//! Answers of functions that take batches (`ReportBatchItemFailures`).

use serde_json::{Value, json};

/// Names the items that must come again.
pub fn failures(items: impl IntoIterator<Item = String>) -> Value {
    let failures: Vec<Value> = items.into_iter().map(|item| json!({ "itemIdentifier": item })).collect();
    json!({ "batchItemFailures": failures })
}
