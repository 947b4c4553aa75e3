//! Conditional transactions (`TransactWriteItems`).
//!
//! Each transaction has an id. It is the version of every record that it puts, and the `ClientRequestToken` under which
//! DynamoDB runs it once in ten minutes however often it comes. The SDK's own retries are off: after an unclear outcome
//! the call is made again under the same token, and when that does not settle it, the records are read and their
//! versions compared, so that an own success is never reported as a lost condition.

use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, TransactWriteItem};
use cloud::{Clock, Entropy, Error, Result, SystemClock, SystemEntropy, Version, Write, check_writes};
use tokio::time::Instant;

use super::failure::{Kind, kind, pause};
use super::item::{key_item, version_of, write_item};
use super::{ATTEMPTS_MAX, DynamoRecords};
use crate::{failure, is_busy, read_failure};

type Failure = SdkError<TransactWriteItemsError, HttpResponse>;

pub(super) async fn transact(records: &DynamoRecords, writes: &[Write]) -> Result<Vec<Option<Version>>> {
    let texts = check_writes(writes)?;
    let now = SystemClock.now();
    let entropy: &dyn Entropy = &SystemEntropy;
    let version = Version(entropy.ulid(now));
    let (mut items, mut sent) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
    for (write, text) in writes.iter().zip(texts) {
        if let Some(item) = write_item(&records.table, write, text, &version, now)? {
            items.push(item);
            sent.push(write);
        }
    }
    if !items.is_empty() {
        let transaction = Transaction { records, version: &version, items, sent };
        if let Err(lost) = transaction.run().await? {
            let index = writes.iter().position(|write| std::ptr::eq(write, lost));
            return Err(Error::ConditionFailed { key: lost.key().to_string(), index });
        }
    }
    Ok(writes.iter().map(|write| matches!(write, Write::Put { .. }).then(|| version.clone())).collect())
}

struct Transaction<'a> {
    records: &'a DynamoRecords,
    version: &'a Version,
    items: Vec<TransactWriteItem>,
    /// What each of `items` was.
    sent: Vec<&'a Write>,
}

/// What a cancelled transaction was cancelled for.
enum Cancelled {
    /// The condition of the item at this place did not hold.
    Lost(usize),
    /// Another transaction has one of the items, or there are too many calls.
    Busy,
    Refused,
}

fn cancelled(reasons: &[CancellationReason]) -> Cancelled {
    if let Some(at) = reasons.iter().position(|reason| reason.code() == Some("ConditionalCheckFailed")) {
        return Cancelled::Lost(at);
    }
    let busy = |code: &str| matches!(code, "TransactionConflict" | "ProvisionedThroughputExceeded") || is_busy(code);
    let mut codes = reasons.iter().filter_map(CancellationReason::code).filter(|code| *code != "None").peekable();
    if codes.peek().is_some() && codes.all(busy) { Cancelled::Busy } else { Cancelled::Refused }
}

impl<'a> Transaction<'a> {
    /// The write that lost, when one did.
    async fn run(&self) -> Result<std::result::Result<(), &'a Write>> {
        let timing = self.records.timing;
        let until = Instant::now() + timing.whole;
        let mut unclear = false;
        for attempt in 1..=ATTEMPTS_MAX {
            let Err(error) = self.send().await else { return Ok(Ok(())) };
            match self.verdict(&error) {
                Verdict::Lost(write) if unclear && self.took_effect().await? => {
                    tracing::debug!(key = %write.key(), "a transaction had taken effect before its answer was lost");
                    return Ok(Ok(()));
                }
                Verdict::Lost(write) => return Ok(Err(write)),
                Verdict::Refused if !unclear => return Err(failure(self.what(), error)),
                // What came of the earlier call, this answer does not say.
                Verdict::Refused => break,
                Verdict::Busy => {}
                Verdict::Unclear => unclear = true,
            }
            let pause = pause(attempt, timing.pause, timing.pause_max);
            if attempt == ATTEMPTS_MAX || Instant::now() + pause >= until {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        match unclear {
            true if self.took_effect().await.unwrap_or(false) => Ok(Ok(())),
            true => Err(Error::Unclear(self.what())),
            false => Err(Error::Unavailable(self.what())),
        }
    }

    async fn send(&self) -> std::result::Result<(), Failure> {
        let call = self.records.client().transact_write_items();
        let call = call.set_transact_items(Some(self.items.clone())).client_request_token(&self.version.0);
        call.customize().config_override(Builder::new().retry_config(RetryConfig::disabled())).send().await.map(drop)
    }

    fn verdict(&self, error: &Failure) -> Verdict<'a> {
        if let Some(TransactWriteItemsError::TransactionCanceledException(answer)) = error.as_service_error() {
            return match cancelled(answer.cancellation_reasons()) {
                Cancelled::Lost(at) => self.sent.get(at).map_or(Verdict::Refused, |write| Verdict::Lost(write)),
                Cancelled::Busy => Verdict::Busy,
                Cancelled::Refused => Verdict::Refused,
            };
        }
        match kind(error) {
            Kind::Busy => Verdict::Busy,
            Kind::Unclear => Verdict::Unclear,
            Kind::Refused => Verdict::Refused,
        }
    }

    /// Whether a record carries the version of this transaction. It is all or nothing, so one is enough; that none does
    /// is no proof, for others may have written since.
    async fn took_effect(&self) -> Result<bool> {
        for write in self.sent.iter().filter(|write| matches!(write, Write::Put { .. })) {
            let key = write.key();
            let answer = self
                .records
                .client()
                .get_item()
                .table_name(&self.records.table)
                .set_key(Some(key_item(key)))
                .projection_expression("version")
                .consistent_read(true)
                .send()
                .await
                .map_err(|error| read_failure(format!("reading `{key}`"), error))?;
            if answer.item().and_then(version_of) == Some(&*self.version.0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn what(&self) -> String {
        let first = self.sent.first().map(|write| write.key().to_string()).unwrap_or_default();
        match self.sent.len() {
            1 => format!("writing `{first}`"),
            count => format!("writing `{first}` and {} more", count - 1),
        }
    }
}

enum Verdict<'a> {
    Lost(&'a Write),
    /// Nothing was written; another try may be.
    Busy,
    Unclear,
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<CancellationReason> {
        codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect()
    }

    fn seen(codes: &[&str]) -> String {
        match cancelled(&reasons(codes)) {
            Cancelled::Lost(at) => format!("lost {at}"),
            Cancelled::Busy => "busy".into(),
            Cancelled::Refused => "refused".into(),
        }
    }

    #[test]
    fn a_lost_condition_outweighs_a_conflict() {
        assert_eq!(seen(&["None", "TransactionConflict", "ConditionalCheckFailed"]), "lost 2");
        assert_eq!(seen(&["None", "TransactionConflict"]), "busy");
        assert_eq!(seen(&["ThrottlingError", "None", "ProvisionedThroughputExceeded"]), "busy");
        assert_eq!(seen(&["TransactionConflict", "ValidationError"]), "refused");
        assert_eq!(seen(&["None", "ItemCollectionSizeLimitExceeded"]), "refused");
        assert_eq!(seen(&[]), "refused");
    }
}
