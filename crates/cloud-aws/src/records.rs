//! `Records` on Amazon DynamoDB: attributes `pk` S, `sk` S, `value` S (JSON text), `version` S, `expires` N.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};
use cloud::{
    ChangePage, Clock, Entropy, Error, Expect, FeedPosition, Millis, RangeQuery, Record, RecordKey, RecordPage,
    Records, Result, SystemClock, SystemEntropy, Version, Write, limits,
};

use crate::{Aws, failure};

type Item = HashMap<String, AttributeValue>;

pub struct DynamoRecords {
    client: Client,
    table: String,
}

impl Aws {
    pub fn records(&self, table: impl Into<String>) -> DynamoRecords {
        DynamoRecords { client: Client::new(self.config()), table: table.into() }
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn key_item(key: &RecordKey) -> Item {
    HashMap::from([("pk".into(), text(&key.partition)), ("sk".into(), text(&key.sort))])
}

fn field<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    item.get(name)
        .and_then(|value| value.as_s().ok())
        .map(String::as_str)
        .ok_or_else(|| Error::Corrupt(format!("an item without `{name}`")))
}

fn record(item: &Item) -> Result<Record> {
    let key = RecordKey::new(field(item, "pk")?, field(item, "sk")?);
    let value = serde_json::from_str(field(item, "value")?).map_err(|_| Error::Corrupt(key.to_string()))?;
    let version = Version(field(item, "version")?.to_owned());
    let expires = item
        .get("expires")
        .and_then(|value| value.as_n().ok())
        .and_then(|seconds| seconds.parse::<i64>().ok())
        .map(|seconds| Millis(seconds.saturating_mul(1000)));
    Ok(Record { key, value, version, expires })
}

/// A condition expression with its values. A record past its time counts as absent: DynamoDB removes it late.
fn condition(expect: &Expect, now: Millis) -> Option<(&'static str, Item)> {
    let now = AttributeValue::N(now.as_secs().to_string());
    match expect {
        Expect::Anything => None,
        Expect::Absent => Some(("attribute_not_exists(pk) OR expires < :now", HashMap::from([(":now".into(), now)]))),
        Expect::Present => Some((
            "attribute_exists(pk) AND (attribute_not_exists(expires) OR expires >= :now)",
            HashMap::from([(":now".into(), now)]),
        )),
        Expect::At(version) => Some(("version = :version", HashMap::from([(":version".into(), text(&version.0))]))),
    }
}

impl DynamoRecords {
    fn put(&self, write: &Write, version: &Version, now: Millis) -> Result<Option<TransactWriteItem>> {
        let Write::Put { key, value, expect, expires } = write else { return Ok(None) };
        let body = value.to_string();
        if body.len() + key.partition.len() + key.sort.len() > limits::RECORD_MAX {
            let (actual, limit) = (body.len() as u64, limits::RECORD_MAX as u64);
            return Err(Error::TooLarge { what: format!("the record `{key}`"), actual, limit });
        }
        let mut item = key_item(key);
        item.insert("value".into(), text(body));
        item.insert("version".into(), text(&version.0));
        if let Some(expires) = expires {
            item.insert("expires".into(), AttributeValue::N(expires.as_secs().to_string()));
        }
        let (expression, values) = condition(expect, now).unzip();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(expression.map(str::to_owned))
            .set_expression_attribute_values(values)
            .build()
            .map_err(|error| Error::other(format!("writing `{key}`"), error))?;
        Ok(Some(TransactWriteItem::builder().put(put).build()))
    }

    fn item(&self, write: &Write, version: &Version, now: Millis) -> Result<Option<TransactWriteItem>> {
        let built = |key: &RecordKey| {
            let key = key.clone();
            move |error| Error::other(format!("writing `{key}`"), error)
        };
        match write {
            Write::Put { .. } => self.put(write, version, now),
            Write::Delete { key, expect } => {
                let (expression, values) = condition(expect, now).unzip();
                let delete = Delete::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_item(key)))
                    .set_condition_expression(expression.map(str::to_owned))
                    .set_expression_attribute_values(values)
                    .build()
                    .map_err(built(key))?;
                Ok(Some(TransactWriteItem::builder().delete(delete).build()))
            }
            Write::Check { key, expect } => {
                // Checking for anything holds always; DynamoDB has no empty check.
                let Some((expression, values)) = condition(expect, now) else { return Ok(None) };
                let check = ConditionCheck::builder()
                    .table_name(&self.table)
                    .set_key(Some(key_item(key)))
                    .condition_expression(expression)
                    .set_expression_attribute_values(Some(values))
                    .build()
                    .map_err(built(key))?;
                Ok(Some(TransactWriteItem::builder().condition_check(check).build()))
            }
        }
    }

    /// Whether a transaction whose answer was refused had in fact been ours: each put carries a version nobody else has.
    async fn took_effect(&self, writes: &[Write], version: &Version) -> Result<bool> {
        for write in writes {
            if let Write::Put { key, .. } = write {
                return Ok(self.get(key).await?.is_some_and(|found| found.version == *version));
            }
        }
        Ok(false)
    }
}

/// Which write lost, when the transaction was cancelled by a condition; `None` when it was something else.
fn lost(error: &TransactWriteItemsError, sent: &[usize], writes: &[Write]) -> Option<Error> {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else { return None };
    let reasons = cancelled.cancellation_reasons();
    let position = reasons.iter().position(|reason| reason.code() == Some("ConditionalCheckFailed"))?;
    let index = *sent.get(position)?;
    Some(Error::ConditionFailed { key: writes[index].key().to_string(), index: Some(index) })
}

#[async_trait]
impl Records for DynamoRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_item(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| failure(format!("reading `{key}`"), error))?;
        let found = answer.item().map(record).transpose()?;
        Ok(found.filter(|found| found.expires.is_none_or(|at| at >= SystemClock.now())))
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .scan_index_forward(!query.descending)
            .limit(i32::try_from(query.limit.clamp(1, 1000)).unwrap_or(1000))
            .expression_attribute_values(":pk", text(&query.partition));
        request = if query.prefix.is_empty() {
            request.key_condition_expression("pk = :pk")
        } else {
            request
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", text(&query.prefix))
        };
        if let Some(after) = &query.after {
            // A start key must lie within the condition; outside it, the range is whole or empty.
            if after.starts_with(&query.prefix) {
                let start = key_item(&RecordKey::new(&query.partition, after));
                request = request.set_exclusive_start_key(Some(start));
            } else if (after.as_str() > query.prefix.as_str()) != query.descending {
                return Ok(RecordPage { records: Vec::new(), next: None });
            }
        }
        let answer = request.send().await.map_err(|error| failure(format!("querying `{}`", query.partition), error))?;
        let now = SystemClock.now();
        let mut records = Vec::with_capacity(answer.items().len());
        for item in answer.items() {
            let found = record(item)?;
            if found.expires.is_none_or(|at| at >= now) {
                records.push(found);
            }
        }
        let next = answer.last_evaluated_key().map(|key| field(key, "sk").map(str::to_owned)).transpose()?;
        Ok(RecordPage { records, next })
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        if writes.is_empty() || writes.len() > limits::TRANSACTION_WRITES_MAX {
            return Err(Error::Invalid("a transaction has 1 to 100 writes".into()));
        }
        let now = SystemClock.now();
        let entropy: &dyn Entropy = &SystemEntropy;
        let version = Version(entropy.ulid(now));
        let (mut items, mut sent) = (Vec::new(), Vec::new());
        for (index, write) in writes.iter().enumerate() {
            if let Some(item) = self.item(write, &version, now)? {
                items.push(item);
                sent.push(index);
            }
        }
        let outcome = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(&version.0)
            .send()
            .await;
        if let Err(error) = outcome {
            let Some(refused) = error.as_service_error().and_then(|e| lost(e, &sent, &writes)) else {
                let conflict = error.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception());
                return Err(if conflict {
                    Error::Unavailable("the transaction".into())
                } else {
                    failure("the transaction", error)
                });
            };
            // A retry inside the client can lose against its own first try.
            if !self.took_effect(&writes, &version).await? {
                return Err(refused);
            }
        }
        Ok(writes.iter().map(|write| matches!(write, Write::Put { .. }).then(|| version.clone())).collect())
    }

    /// On AWS the stream's event source mapping reads the feed and hands it to the fan-out function.
    async fn changes(&self, _position: Option<&FeedPosition>, _limit: usize) -> Result<ChangePage> {
        Err(Error::Invalid("on AWS the change feed is delivered by the table's stream".into()))
    }

    async fn feed_end(&self) -> Result<FeedPosition> {
        Err(Error::Invalid("on AWS the change feed is delivered by the table's stream".into()))
    }
}
