//! DynamoDB stream event source mappings (Lambda Developer Guide, "Using Lambda with DynamoDB").

use std::collections::HashMap;
use std::time::Duration;

use cloud::{Error, Expect, RecordKey, Records, Result};
use sam::{Filters, StreamTrigger};
use serde_json::{Value, json};

use super::{SOURCE_PAUSE, Target, failed_items, records};
use crate::stacks::discarded::Discarded;
use crate::wire::DynamoDb;

/// Between two reads of a shard that has nothing new.
const POLL: Duration = Duration::from_millis(500);
/// Between two looks for new shards.
const LOOK: Duration = Duration::from_secs(10);
/// A batch that fails is tried so often when the mapping sets no number.
const ATTEMPTS_MAX: u32 = 1000;
const RETRY_MAX: Duration = Duration::from_secs(60);
const PARTITION: &str = "stream-position";

pub(super) struct Source {
    pub dynamodb: DynamoDb,
    /// The table's physical name.
    pub table: String,
    pub trigger: StreamTrigger,
    /// The trigger's own, read.
    pub filters: Filters,
    /// The queue that is told of batches that were given up (`DestinationConfig.OnFailure`).
    pub on_failure: Option<String>,
    pub target: Target,
}

impl Source {
    pub async fn run(self) {
        loop {
            if let Err(error) = self.read_shards().await {
                tracing::warn!(error = &error as &dyn std::error::Error, table = self.table, "a stream is not read");
            }
            tokio::time::sleep(SOURCE_PAUSE).await;
        }
    }

    async fn read_shards(&self) -> Result<()> {
        let stack = &self.target.around.stack;
        let table = self.dynamodb.call(stack, "DescribeTable", &json!({"TableName": self.table})).await?;
        let arn = table["Table"]["LatestStreamArn"].as_str().unwrap_or_default().to_owned();
        if arn.is_empty() {
            return Err(Error::Invalid(format!("table `{}` has no stream", self.table)));
        }
        let mut iterators: HashMap<String, String> = HashMap::new();
        let mut looked = tokio::time::Instant::now();
        let mut first = true;
        loop {
            if first || looked.elapsed() > LOOK {
                let stream = self.dynamodb.call_streams(stack, "DescribeStream", &json!({"StreamArn": arn})).await?;
                for shard in stream["StreamDescription"]["Shards"].as_array().into_iter().flatten() {
                    let Some(id) = shard["ShardId"].as_str().filter(|id| !iterators.contains_key(*id)) else {
                        continue;
                    };
                    let iterator = self.iterator(&arn, id, first).await?;
                    iterators.insert(id.to_owned(), iterator);
                }
                (first, looked) = (false, tokio::time::Instant::now());
            }
            let mut quiet = true;
            for (shard, iterator) in &mut iterators {
                quiet &= self.read(&arn, shard, iterator).await?;
            }
            if quiet {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Where to read a shard on: after what was handled, otherwise as the mapping says.
    async fn iterator(&self, arn: &str, shard: &str, at_start: bool) -> Result<String> {
        let handled = self.positions().get(&self.key(arn, shard)).await?;
        let mut ask = json!({"StreamArn": arn, "ShardId": shard});
        match handled.as_ref().and_then(|record| record.value["sequence"].as_str()) {
            Some(sequence) => {
                ask["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER".into();
                ask["SequenceNumber"] = sequence.into();
            }
            // A shard that appears while reading is read whole.
            None => {
                let from = if at_start { self.trigger.starting_position.as_str() } else { "TRIM_HORIZON" };
                ask["ShardIteratorType"] = from.into();
            }
        }
        let answer = self.dynamodb.call_streams(&self.target.around.stack, "GetShardIterator", &ask).await?;
        Ok(answer["ShardIterator"].as_str().unwrap_or_default().to_owned())
    }

    /// Reads and delivers one batch; true when there was nothing.
    async fn read(&self, arn: &str, shard: &str, iterator: &mut String) -> Result<bool> {
        if iterator.is_empty() {
            return Ok(true);
        }
        let ask = json!({"ShardIterator": iterator, "Limit": self.trigger.batch_size.clamp(1, 1000)});
        let answer = self.dynamodb.call_streams(&self.target.around.stack, "GetRecords", &ask).await?;
        let batch: Vec<Value> = answer["Records"].as_array().cloned().unwrap_or_default();
        let last = batch.last().and_then(|record| record["dynamodb"]["SequenceNumber"].as_str()).map(str::to_owned);
        let wanted: Vec<Value> =
            batch.into_iter().filter(|record| self.filters.pass(record)).map(|r| self.named(r, arn)).collect();
        if !wanted.is_empty() {
            self.deliver(wanted, arn, shard).await;
        }
        if let Some(last) = &last {
            let writes: &dyn Records = &self.positions();
            writes.put(self.key(arn, shard), json!({"sequence": last}), Expect::Anything).await?;
        }
        *iterator = answer["NextShardIterator"].as_str().unwrap_or_default().to_owned();
        Ok(last.is_none())
    }

    /// Calls the function until the batch is done, in order, or has been tried often enough.
    async fn deliver(&self, mut batch: Vec<Value>, arn: &str, shard: &str) {
        let attempts = u32::try_from(self.trigger.maximum_retry_attempts).map_or(ATTEMPTS_MAX, |retries| retries + 1);
        let (mut pause, mut unhandled) = (SOURCE_PAUSE, false);
        for _ in 0..attempts {
            let answer = self.target.call(&records(batch.clone())).await;
            let sequence =
                |record: &Value| record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned();
            let known: Vec<String> = batch.iter().map(sequence).collect();
            unhandled = answer.is_none();
            match answer {
                Some(answer) if self.trigger.report_batch_item_failures => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    let failed = failed_items(&answer, &known);
                    // Everything from the first that failed comes again.
                    let Some(from) = known.iter().position(|id| failed.iter().any(|f| f == id)) else { return };
                    batch.drain(..from);
                }
                Some(_) => return,
                None => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
        let Some(queue) = &self.on_failure else {
            return tracing::warn!(table = self.table, records = batch.len(), "a batch of a stream was given up");
        };
        let around = &self.target.around;
        let discarded = Discarded {
            request_id: &self.target.pool.request_id(),
            function_arn: &self.target.pool.spec().arn,
            attempts,
            unhandled,
            at: around.clock.now(),
            stream: arn,
            shard,
            records: &batch,
        };
        if let Err(error) = self.target.tell(queue, &discarded.message()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, table = self.table, "a batch of a stream is lost");
        }
    }

    fn named(&self, mut record: Value, arn: &str) -> Value {
        record["eventSourceARN"] = arn.into();
        record
    }

    fn positions(&self) -> crate::LocalRecords {
        self.target.around.store.records_in(&self.target.scope().namespace())
    }

    fn key(&self, arn: &str, shard: &str) -> RecordKey {
        RecordKey::new(PARTITION, format!("{}|{arn}|{shard}", self.target.pool.spec().name))
    }
}
