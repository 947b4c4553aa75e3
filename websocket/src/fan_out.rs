//! Batches of the table's stream: committed events, and sessions and tokens that have ended.
//!
//! Everything may come again, in whole or in part; what is done twice is done once.

use std::collections::HashSet;

use cloud::Published;
use domain::{EventEnvelope, JobMessage};
use function::{App, metrics};
use identity::{AccountId, ProjectId};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::ended;

/// Delivers a batch, which is of one shard. The answer names the first record that failed, and Lambda sends it and all
/// after it again ("Reporting batch item failures with DynamoDB streams"). Within a partition of the table, which is
/// a project, nothing is delivered past what failed; other projects do not wait.
pub async fn fan_out(app: &App, event: Value) -> Value {
    let mut batch = Batch::default();
    for (place, record) in event["Records"].as_array().into_iter().flatten().enumerate() {
        let partition = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap_or_default();
        if batch.held.contains(partition) {
            continue;
        }
        match handle(app, record).await {
            Ok(None) => {}
            Ok(Some(envelope)) => batch.delivered.push((place, envelope)),
            Err(error) => {
                let sort = record["dynamodb"]["Keys"]["sk"]["S"].as_str();
                tracing::error!(partition, sort, %error, "delivering a record of the stream");
                batch.failed(place);
                batch.held.insert(partition.to_owned());
            }
        }
    }
    let now = app.clock.now();
    let ages = batch.delivered.iter().map(|(_, envelope)| now.since(envelope.time).as_millis());
    let (count, oldest) = (batch.delivered.len(), ages.max().unwrap_or_default());
    batch.publish(app).await;
    let failed = u64::from(batch.first_failed.is_some());
    metrics::delivered(count as u64, failed, u64::try_from(oldest).unwrap_or(u64::MAX));
    let failures: Vec<Value> = batch.first_failed.iter().map(|place| item(&event["Records"][*place])).collect();
    json!({ "batchItemFailures": failures })
}

fn item(record: &Value) -> Value {
    // Without a number the whole batch counts as failed.
    json!({ "itemIdentifier": record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default() })
}

/// What has become of a batch so far.
#[derive(Default)]
struct Batch {
    /// Partitions of which a record has failed.
    held: HashSet<String>,
    /// Events with their places in the batch.
    delivered: Vec<(usize, EventEnvelope)>,
    first_failed: Option<usize>,
}

impl Batch {
    fn failed(&mut self, place: usize) {
        self.first_failed = Some(self.first_failed.map_or(place, |first| first.min(place)));
    }

    /// Puts what was delivered on the bus. A bus knows no order, so nothing waits for what it refuses.
    async fn publish(&mut self, app: &App) {
        let (places, envelopes): (Vec<_>, Vec<_>) = std::mem::take(&mut self.delivered).into_iter().unzip();
        match app.domain.events.publish(&envelopes).await {
            Ok(outcomes) => {
                for ((place, envelope), outcome) in places.into_iter().zip(&envelopes).zip(outcomes) {
                    if let Published::Refused(why) = outcome {
                        let EventEnvelope { project, sequence, .. } = envelope;
                        tracing::error!(project, sequence, why, "the bus refuses an event");
                        self.failed(place);
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, count = envelopes.len(), "putting events on the bus");
                if let Some(first) = places.first() {
                    self.failed(*first);
                }
            }
        }
    }
}

/// Does what one record asks for; the event of it when it is one.
async fn handle(app: &App, record: &Value) -> domain::Result<Option<EventEnvelope>> {
    if let Some(holder) = ended::holder(record) {
        app.domain.connections.close_held(holder).await?;
        return Ok(None);
    }
    if let Some(Ok(account)) = ended::changed_account(record).map(AccountId::parse) {
        app.domain.connections.close_void(&account).await?;
        return Ok(None);
    }
    if let Some((project, entry)) = audit_entry(record) {
        app.domain.audit.list_entry(&project, &entry).await?;
        return Ok(None);
    }
    let Some(envelope) = envelope(record) else { return Ok(None) };
    let span = tracing::info_span!(
        "event",
        request_id = envelope.id,
        correlation_id = envelope.correlation_id,
        area = "fan-out"
    );
    tell(app, &envelope).instrument(span).await?;
    Ok(Some(envelope))
}

/// Sends a job's message and tells everyone who follows the project.
async fn tell(app: &App, envelope: &EventEnvelope) -> domain::Result<()> {
    if envelope.kind == "job.created" {
        let named = json!({ "project": envelope.project, "job": envelope.detail["job"] });
        if let Ok(message) = serde_json::from_value::<JobMessage>(named) {
            app.domain.jobs.ensure_sent(&message.project, &message.job).await?;
        }
    }
    if envelope.kind == "git.pushed"
        && let Ok(project) = ProjectId::parse(&envelope.project)
        && let Err(error) = app.domain.maintenance.after_push(&project, &envelope.correlation_id).await
    {
        // The next push asks again; nobody's event waits for it.
        tracing::warn!(%error, "asking for a compaction");
    }
    app.domain.connections.deliver(envelope).await?;
    tracing::debug!(kind = envelope.kind, sequence = envelope.sequence, "delivered");
    Ok(())
}

/// The audit entry of a project that a stream record inserts; `None` for any other record.
fn audit_entry(record: &Value) -> Option<(ProjectId, Value)> {
    let change = &record["dynamodb"];
    let project = change["Keys"]["pk"]["S"].as_str()?.strip_prefix("project#")?;
    if !change["Keys"]["sk"]["S"].as_str()?.starts_with("audit#") || record["eventName"] != "INSERT" {
        return None;
    }
    let entry = serde_json::from_str(change["NewImage"]["value"]["S"].as_str()?).ok()?;
    Some((ProjectId::parse(project).ok()?, entry))
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
