//! `Records` on Amazon DynamoDB.
//!
//! An item has the attributes `pk` S, `sk` S, `value` S (JSON text), `version` S (the id of the transaction that wrote
//! it), and when it expires `expires` N (whole seconds, rounded up: the table's TTL attribute) and `expires_ms` N.
//! A record past its time is not there, for reads and for conditions: DynamoDB removes it up to days later.
//!
//! The change feed is the table's stream, read by its event source mapping.

mod failure;
mod item;
mod transact;

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use cloud::limits::{RECORD_PARTITION_MAX, RECORD_SORT_MAX};
use cloud::{Clock, Error, RangeQuery, Record, RecordKey, RecordPage, Records, Result, SystemClock, Version, Write};

use crate::{Aws, read_failure};
use item::{Item, is_alive, key_item, record, sort_of, text};

/// Records in one page of a query.
const PAGE_MAX: usize = 1000;

/// How long the calls of [`DynamoRecords`] may take.
#[derive(Clone, Copy, Debug)]
pub struct RecordsTiming {
    /// One call on the wire.
    pub attempt: Duration,
    /// No call is tried again after this.
    pub whole: Duration,
    /// The first wait between two tries; it doubles, with jitter, up to `pause_max`.
    pub pause: Duration,
    pub pause_max: Duration,
}

impl Default for RecordsTiming {
    /// Within the 29 s that the gateway waits.
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(5),
            whole: Duration::from_secs(15),
            pause: Duration::from_millis(25),
            pause_max: Duration::from_secs(1),
        }
    }
}

/// How often a call is tried.
const ATTEMPTS_MAX: u32 = 8;

/// One table. The client is made by the first call.
pub struct DynamoRecords {
    aws: Aws,
    table: String,
    timing: RecordsTiming,
    client: OnceLock<Client>,
}

impl Aws {
    pub fn records(&self, table: impl Into<String>) -> DynamoRecords {
        self.records_with(table, RecordsTiming::default())
    }

    /// Records with other times for their calls.
    pub fn records_with(&self, table: impl Into<String>, timing: RecordsTiming) -> DynamoRecords {
        DynamoRecords { aws: self.clone(), table: table.into(), timing, client: OnceLock::new() }
    }
}

impl DynamoRecords {
    /// Reads are tried again by the client; a transaction settles its outcome itself.
    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(crate::CONNECT_TIMEOUT.min(self.timing.attempt))
                .operation_attempt_timeout(self.timing.attempt)
                .operation_timeout(self.timing.whole)
                .build();
            let retries = RetryConfig::standard()
                .with_max_attempts(ATTEMPTS_MAX)
                .with_initial_backoff(self.timing.pause)
                .with_max_backoff(self.timing.pause_max);
            let config = Builder::from(self.aws.config()).timeout_config(timeouts).retry_config(retries);
            Client::from_conf(config.build())
        })
    }

    /// The answer is the last key that was looked at, whether or not a record of it is in the page.
    async fn page(&self, query: &RangeQuery, start: Option<Item>) -> Result<RecordPage> {
        let mut request = self
            .client()
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(!query.descending)
            .limit(i32::try_from(query.limit).unwrap_or(i32::MAX))
            .expression_attribute_values(":pk", text(&query.partition))
            .set_exclusive_start_key(start);
        request = if query.prefix.is_empty() {
            request.key_condition_expression("pk = :pk")
        } else {
            request
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(&query.prefix))
        };
        let what = || format!("querying `{}`", query.partition);
        let answer = request.send().await.map_err(|error| read_failure(what(), error))?;
        let now = SystemClock.now();
        let mut records = Vec::with_capacity(answer.items().len());
        for item in answer.items() {
            let found = record(item)?;
            if is_alive(&found, now) {
                records.push(found);
            }
        }
        let next = answer.last_evaluated_key().map(sort_of).transpose()?;
        Ok(RecordPage { records, next })
    }
}

/// Where a page begins.
enum Start {
    First,
    After(Item),
    /// Nothing of the range is left.
    Past,
}

/// A start key must lie within the condition of the query; outside it the range is whole or empty.
fn start(query: &RangeQuery) -> Start {
    let Some(after) = query.after.as_deref() else { return Start::First };
    if !after.starts_with(&query.prefix) || after.is_empty() {
        // Every sort comes after the empty one.
        let is_below = after.is_empty() || after < query.prefix.as_str();
        let is_ahead = is_below != query.descending;
        return if is_ahead { Start::First } else { Start::Past };
    }
    Start::After(key_item(&RecordKey::new(&query.partition, after)))
}

#[async_trait]
impl Records for DynamoRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let fits = |part: &str, max: usize| (1..=max).contains(&part.len());
        if !fits(&key.partition, RECORD_PARTITION_MAX) || !fits(&key.sort, RECORD_SORT_MAX) {
            // No record can have such a key.
            return Ok(None);
        }
        let answer = self
            .client()
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_item(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| read_failure(format!("reading `{key}`"), error))?;
        let found = answer.item().map(record).transpose()?;
        Ok(found.filter(|found| is_alive(found, SystemClock.now())))
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        if !(1..=PAGE_MAX).contains(&query.limit) {
            return Err(Error::Invalid(format!("a page has 1 to {PAGE_MAX} records")));
        }
        let too_long = |text: &str| text.len() > RECORD_SORT_MAX;
        if query.partition.is_empty() || query.partition.len() > RECORD_PARTITION_MAX {
            return Err(Error::Invalid("a query names a partition of 1 to 2,048 bytes".into()));
        }
        if too_long(&query.prefix) || query.after.as_deref().is_some_and(too_long) {
            return Err(Error::Invalid("a query begins and goes on at sorts of at most 1,024 bytes".into()));
        }
        match start(&query) {
            Start::Past => Ok(RecordPage { records: Vec::new(), next: None }),
            Start::First => self.page(&query, None).await,
            Start::After(key) => self.page(&query, Some(key)).await,
        }
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        transact::transact(self, &writes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(prefix: &str, after: &str, descending: bool) -> &'static str {
        let query = RangeQuery {
            partition: "p".into(),
            prefix: prefix.into(),
            after: Some(after.into()),
            descending,
            limit: 1,
        };
        match start(&query) {
            Start::First => "first",
            Start::After(_) => "after",
            Start::Past => "past",
        }
    }

    #[test]
    fn a_start_key_is_sent_only_within_the_range() {
        for (prefix, after, up, down) in [
            ("b#", "b#1", "after", "after"),
            ("b#", "b#", "after", "after"),
            ("b#", "a", "first", "past"),
            ("b#", "c", "past", "first"),
            ("b#", "b", "first", "past"),
            ("b#", "", "first", "past"),
            ("", "a", "after", "after"),
            ("", "", "first", "past"),
        ] {
            assert_eq!(starts(prefix, after, false), up, "{prefix:?} {after:?}");
            assert_eq!(starts(prefix, after, true), down, "{prefix:?} {after:?}");
        }
    }
}
