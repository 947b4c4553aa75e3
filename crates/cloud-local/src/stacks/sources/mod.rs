//! What calls functions without a request: queues, schedules, objects and table streams.

pub mod cron;
mod objects;
mod queue;
mod schedule;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::{Clock, Entropy, Millis, Queue, Result, SendMessage, StackName};
use sam::{App, Filters, Trigger};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::executor::Pool;
use super::naming::Naming;
use crate::Store;
use crate::access_keys::Scope;
use crate::wire::{DynamoDb, Queues};

/// Pauses before an asynchronous event is tried again (Lambda Developer Guide, "Asynchronous invocation").
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// After a source failed to answer.
const SOURCE_PAUSE: Duration = Duration::from_secs(1);

/// What the sources of one version need.
#[derive(Clone)]
pub struct Surroundings {
    pub stack: StackName,
    pub store: Store,
    pub dynamodb: Option<DynamoDb>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub naming: Naming,
    /// When this version was deployed: rates count from here.
    pub since: Millis,
}

/// The running sources of one version. Dropping it stops them; what they have handed over runs to its end.
pub struct Sources {
    stop: CancellationToken,
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Sources {
    /// Starts every enabled source of `app`.
    pub fn start(app: &App, pools: &BTreeMap<String, Arc<Pool>>, around: &Surroundings) -> Self {
        let stop = CancellationToken::new();
        for (function, pool) in app.functions.values().filter_map(|f| Some((f, pools.get(&f.logical_id)?))) {
            for event in &function.events {
                let target = Target {
                    pool: pool.clone(),
                    dead_letters: function.dead_letter_target.clone(),
                    around: around.clone(),
                };
                start(&event.name, &event.trigger, app, target, stop.clone());
            }
        }
        Self { stop }
    }
}

fn start(name: &str, trigger: &Trigger, app: &App, target: Target, stop: CancellationToken) {
    let running = stop.clone();
    match trigger {
        Trigger::Sqs { queue, batch_size, window_s, enabled: true, report_batch_item_failures } => {
            let source = queue::Source {
                queue: target.around.naming.queue(app, queue),
                batch: *batch_size as usize,
                window: Duration::from_secs(u64::from(*window_s)),
                partial: *report_batch_item_failures,
                target,
            };
            tokio::spawn(async move { running.run_until_cancelled(source.run()).await });
        }
        Trigger::Schedule { expression, input, enabled: true, name: given, .. } => {
            // Deploying has refused what cannot be read.
            let Ok(schedule) = cron::Schedule::parse(expression) else { return };
            let rule =
                given.clone().unwrap_or_else(|| format!("{}-{}-{name}", target.around.stack, target.pool.spec().name));
            let source = schedule::Source { schedule, input: input.clone(), rule, target };
            tokio::spawn(async move { running.run_until_cancelled(source.run()).await });
        }
        Trigger::S3 { bucket, events, prefix, suffix } => {
            let filter = objects::Filter { events: events.clone(), prefix: prefix.clone(), suffix: suffix.clone() };
            let bucket = target.around.naming.bucket(app, bucket);
            // Subscribed before the deploy is acknowledged: no object after it is missed.
            let source = objects::Source::new(bucket, name.to_owned(), filter, target);
            tokio::spawn(async move { running.run_until_cancelled(source.run()).await });
        }
        Trigger::Stream(trigger) if trigger.enabled => {
            let Some(dynamodb) = target.around.dynamodb.clone() else { return };
            let table = target.around.naming.table(app, &trigger.table);
            // Resolving has refused what cannot be read.
            let Ok(filters) = Filters::parse(&trigger.filters) else { return };
            let on_failure = trigger.on_failure.as_ref().map(|queue| target.around.naming.queue(app, queue));
            let source = stream::Source { dynamodb, table, trigger: trigger.clone(), filters, on_failure, target };
            tokio::spawn(async move { running.run_until_cancelled(source.run()).await });
        }
        // Routes are the gateway's.
        _ => {}
    }
}

/// The function that a source calls.
#[derive(Clone)]
struct Target {
    pool: Arc<Pool>,
    /// The ARN of a queue for events that failed to the last.
    dead_letters: Option<String>,
    around: Surroundings,
}

impl Target {
    fn scope(&self) -> Scope {
        Scope::Stack(self.around.stack.clone())
    }

    fn queues(&self) -> Queues {
        Queues::new(self.around.store.clone())
    }

    /// Calls the function once; `None` when it failed.
    async fn call(&self, event: &Value) -> Option<Bytes> {
        match self.pool.invoke(Bytes::from(event.to_string())).await {
            Ok(done) if done.function_error.is_none() => Some(done.payload),
            Ok(_) => None,
            Err(error) => {
                let function = &self.pool.spec().name;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    function,
                    "an event did not reach its function"
                );
                None
            }
        }
    }

    /// Calls the function as an asynchronous event: tried again twice, then a dead letter.
    fn send(&self, event: Value) {
        let target = self.clone();
        tokio::spawn(async move {
            if target.call(&event).await.is_some() {
                return;
            }
            for pause in RETRY_PAUSES {
                tokio::time::sleep(pause).await;
                if target.call(&event).await.is_some() {
                    return;
                }
            }
            if let Err(error) = target.give_up(&event).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a dead letter is lost");
            }
        });
    }

    async fn give_up(&self, event: &Value) -> Result<()> {
        match self.dead_letters.as_deref().and_then(|arn| arn.rsplit(':').next()) {
            Some(queue) => self.tell(queue, event).await,
            None => Ok(()),
        }
    }

    /// Puts a message into a queue of the stack; one that is not there is told nothing.
    async fn tell(&self, queue: &str, message: &Value) -> Result<()> {
        if let Some(open) = self.queues().open(&self.scope(), queue).await? {
            open.queue.send(SendMessage { body: message.to_string(), delay: Duration::ZERO }).await?;
        }
        Ok(())
    }
}

/// The positions that a partial batch answer names (`batchItemFailures`); everything when it cannot be read
/// (Lambda Developer Guide, "Implementing partial batch responses").
fn failed_items(answer: &Bytes, known: &[&str]) -> Vec<String> {
    let all = || known.iter().map(|id| (*id).to_owned()).collect();
    if answer.iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    let Ok(value) = serde_json::from_slice::<Value>(answer) else { return all() };
    let failures = match &value {
        Value::Null => return Vec::new(),
        Value::Object(object) => match object.get("batchItemFailures") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(failures)) => failures,
            Some(_) => return all(),
        },
        _ => return all(),
    };
    let mut failed = Vec::new();
    for failure in failures {
        match failure["itemIdentifier"].as_str().filter(|id| known.contains(id)) {
            Some(id) => failed.push(id.to_owned()),
            None => return all(),
        }
    }
    failed
}

fn records(records: Vec<Value>) -> Value {
    json!({"Records": records})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_batch_answers_are_read_as_lambda_reads_them() {
        let read = |text: &'static str| failed_items(&Bytes::from_static(text.as_bytes()), &["a", "b"]);
        let none: [&str; 0] = [];
        for all_done in ["", "null", "{}", r#"{"batchItemFailures":[]}"#, r#"{"batchItemFailures":null}"#] {
            assert_eq!(read(all_done), none, "{all_done}");
        }
        assert_eq!(read(r#"{"batchItemFailures":[{"itemIdentifier":"b"}]}"#), ["b"]);
        for all_failed in [
            "[]",
            "\"x\"",
            r#"{"batchItemFailures":7}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"z"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{}]}"#,
        ] {
            assert_eq!(read(all_failed), ["a", "b"], "{all_failed}");
        }
    }
}
