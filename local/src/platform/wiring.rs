//! The event sources of the template, started.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cloud::{Clock, Entropy};
use cloud_local::Store;
use sam::{Filters, Function, QueueReference, StreamTrigger, Trigger};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::template::Resolved;
use crate::events::{QueueSource, StreamSource};
use crate::functions::Functions;
use crate::sources::{DeadLetters, QueuePoll, Schedule, StartAt, StreamPoll, parse_rate};

/// Batches in flight of one source, where the template reserves no number: Lambda's pollers start with five and
/// scale; long functions need room.
const CONCURRENCY: u32 = 100;

/// What sources need from their surroundings.
pub struct Sources<'a> {
    pub resolved: &'a Resolved,
    pub store: &'a Store,
    pub functions: Arc<dyn Functions>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub tasks: &'a TaskTracker,
    pub shutdown: &'a CancellationToken,
}

impl Sources<'_> {
    /// Starts every source of every function.
    pub fn start(&self) -> Result<()> {
        for function in self.resolved.app.functions.values() {
            for event in &function.events {
                let name = format!("{}/{}", function.logical_id, event.name);
                self.start_one(function, &name, &event.trigger).with_context(|| format!("event source {name}"))?;
            }
        }
        Ok(())
    }

    fn start_one(&self, function: &Function, name: &str, trigger: &Trigger) -> Result<()> {
        let shutdown = self.shutdown.clone();
        match trigger {
            Trigger::Api { .. } | Trigger::HttpApi { .. } | Trigger::WebSocket { .. } => {}
            Trigger::Sqs { queue, batch_size, report_batch_item_failures, enabled: true, .. } => {
                let poll = self.queue(function, queue, *batch_size as usize, *report_batch_item_failures)?;
                self.tasks.spawn(poll.run(shutdown));
            }
            Trigger::Stream(stream) if stream.enabled => {
                self.tasks.spawn(self.stream(function, name, stream)?.run(shutdown));
            }
            Trigger::Schedule { expression, input, enabled: true, .. } => {
                let schedule = self.schedule(function, name, expression, input.as_ref())?;
                self.tasks.spawn(schedule.run(shutdown));
            }
            Trigger::Sqs { .. } | Trigger::Stream(_) | Trigger::Schedule { .. } => {}
            Trigger::S3 { .. } => bail!("the platform has no such source on one machine"),
        }
        Ok(())
    }

    fn queue(&self, function: &Function, queue: &QueueReference, batch: usize, reported: bool) -> Result<QueuePoll> {
        let queue = self.resolved.queue_of(queue)?;
        let physical = self.resolved.queue_name(&queue.logical_id)?;
        Ok(QueuePoll {
            queue: Arc::new(self.resolved.open_queue(self.store, queue)?),
            source: QueueSource { arn: self.resolved.arn("sqs", &physical), region: self.resolved.region().to_owned() },
            function: function.logical_id.clone(),
            functions: Arc::clone(&self.functions),
            batch,
            visibility: Duration::from_secs(queue.visibility_timeout_s.max(function.timeout_s).into()),
            reported,
            concurrency: function.reserved_concurrency.unwrap_or(CONCURRENCY).max(1) as usize,
            clock: Arc::clone(&self.clock),
        })
    }

    fn stream(&self, function: &Function, name: &str, stream: &StreamTrigger) -> Result<StreamPoll> {
        let table = self.resolved.app.tables.get(&stream.table).context("its table is not in the template")?;
        Ok(StreamPoll {
            records: self.store.records(),
            name: name.to_owned(),
            source: StreamSource {
                arn: self.resolved.arn("dynamodb", &format!("table/{}/stream/local", table.logical_id)),
                region: self.resolved.region().to_owned(),
                view: table.stream_view.clone().context("its table has no stream")?,
            },
            filters: Filters::parse(&stream.filters).map_err(anyhow::Error::msg)?,
            function: function.logical_id.clone(),
            functions: Arc::clone(&self.functions),
            batch: stream.batch_size as usize,
            start: if stream.starting_position == "LATEST" { StartAt::Latest } else { StartAt::TrimHorizon },
            reported: stream.report_batch_item_failures,
            bisect: stream.bisect_batch_on_error,
            retries: u32::try_from(stream.maximum_retry_attempts).ok(),
            dead_letters: self.dead_letters(function, stream)?,
        })
    }

    fn dead_letters(&self, function: &Function, stream: &StreamTrigger) -> Result<Option<DeadLetters>> {
        let Some(queue) = &stream.on_failure else { return Ok(None) };
        Ok(Some(DeadLetters {
            queue: Arc::new(self.resolved.open_queue(self.store, self.resolved.queue_of(queue)?)?),
            function_arn: self.resolved.function_arn(function),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }))
    }

    fn schedule(&self, function: &Function, name: &str, rate: &str, input: Option<&Value>) -> Result<Schedule> {
        Ok(Schedule {
            name: name.to_owned(),
            every: parse_rate(rate).with_context(|| format!("`{rate}` is not a rate"))?,
            input: input.cloned(),
            function: function.logical_id.clone(),
            functions: Arc::clone(&self.functions),
            account: self.resolved.account().to_owned(),
            region: self.resolved.region().to_owned(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        })
    }
}
