//! Records as items of the table.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem};
use cloud::{Error, Expect, Millis, Record, RecordKey, Result, Version, Write};

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl std::fmt::Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn key_item(key: &RecordKey) -> Item {
    HashMap::from([("pk".into(), text(&key.partition)), ("sk".into(), text(&key.sort))])
}

fn field<'a>(item: &'a Item, name: &str) -> Result<&'a str> {
    let found = item.get(name).and_then(|value| value.as_s().ok());
    found.map(String::as_str).ok_or_else(|| Error::Corrupt(format!("an item without `{name}`")))
}

pub(super) fn sort_of(item: &Item) -> Result<String> {
    field(item, "sk").map(str::to_owned)
}

pub(super) fn version_of(item: &Item) -> Option<&str> {
    field(item, "version").ok()
}

pub(super) fn record(item: &Item) -> Result<Record> {
    let key = RecordKey::new(field(item, "pk")?, field(item, "sk")?);
    let corrupt = || Error::Corrupt(key.to_string());
    let value = serde_json::from_str(field(item, "value")?).map_err(|_| corrupt())?;
    let version = Version(field(item, "version")?.to_owned());
    let expires = match item.get("expires_ms") {
        None => None,
        Some(AttributeValue::N(digits)) => Some(Millis(digits.parse().map_err(|_| corrupt())?)),
        Some(_) => return Err(corrupt()),
    };
    Ok(Record { key, value, version, expires })
}

pub(super) fn is_alive(record: &Record, now: Millis) -> bool {
    record.expires.is_none_or(|at| at > now)
}

/// A condition expression with its values.
fn condition(expect: &Expect, now: Millis) -> Option<(String, Item)> {
    let at_now = HashMap::from([(":now".to_owned(), number(now.0))]);
    match expect {
        Expect::Anything => None,
        Expect::Absent => Some(("attribute_not_exists(pk) OR expires_ms <= :now".into(), at_now)),
        Expect::Present => {
            let alive = "attribute_exists(pk) AND (attribute_not_exists(expires_ms) OR expires_ms > :now)";
            Some((alive.into(), at_now))
        }
        Expect::At(version) => {
            Some(("version = :version".into(), HashMap::from([(":version".into(), text(&version.0))])))
        }
    }
}

fn new_item(key: &RecordKey, value: String, version: &Version, expires: Option<Millis>) -> Item {
    let mut item = key_item(key);
    item.insert("value".into(), text(value));
    item.insert("version".into(), text(&version.0));
    if let Some(at) = expires {
        // DynamoDB must not remove it before its time.
        let seconds = at.0.div_euclid(1000) + i64::from(at.0.rem_euclid(1000) > 0);
        item.insert("expires".into(), number(seconds));
        item.insert("expires_ms".into(), number(at.0));
    }
    item
}

/// One write as the service takes it, `value` being the text of what is put; `None` when it says nothing: a check for
/// anything holds always.
pub(super) fn write_item(
    table: &str,
    write: &Write,
    value: Option<String>,
    version: &Version,
    now: Millis,
) -> Result<Option<TransactWriteItem>> {
    let built = |error: BuildError| Error::other(format!("writing `{}`", write.key()), error);
    let item = TransactWriteItem::builder();
    let item = match write {
        Write::Put { key, expect, expires, .. } => {
            let (expression, values) = condition(expect, now).unzip();
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(new_item(key, value.unwrap_or_default(), version, *expires)))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values);
            item.put(put.build().map_err(built)?)
        }
        Write::Delete { key, expect } => {
            let (expression, values) = condition(expect, now).unzip();
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key_item(key)))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values);
            item.delete(delete.build().map_err(built)?)
        }
        Write::Check { key, expect } => {
            let Some((expression, values)) = condition(expect, now) else { return Ok(None) };
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key_item(key)))
                .condition_expression(expression)
                .set_expression_attribute_values(Some(values));
            item.condition_check(check.build().map_err(built)?)
        }
    };
    Ok(Some(item.build()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put_at(expires: Option<Millis>) -> Item {
        let key = RecordKey::new("p", "s");
        new_item(&key, "1".into(), &Version("v".into()), expires)
    }

    #[test]
    fn a_record_is_not_removed_before_its_time() {
        for (ms, seconds) in [(10_000, "10"), (10_001, "11"), (10_999, "11"), (-1, "0")] {
            let item = put_at(Some(Millis(ms)));
            assert_eq!(item["expires"], AttributeValue::N(seconds.into()), "{ms}");
            assert_eq!(record(&item).unwrap().expires, Some(Millis(ms)));
        }
    }

    #[test]
    fn a_record_lives_until_its_time() {
        let found = record(&put_at(Some(Millis(10_500)))).unwrap();
        assert!(is_alive(&found, Millis(10_499)) && !is_alive(&found, Millis(10_500)));
        assert!(is_alive(&record(&put_at(None)).unwrap(), Millis(i64::MAX)));
    }

    #[test]
    fn an_item_that_is_no_record_is_corrupt() {
        let whole = put_at(Some(Millis(1)));
        for name in ["pk", "sk", "value", "version", "expires_ms"] {
            let mut broken = whole.clone();
            broken.insert(name.into(), AttributeValue::Bool(true));
            assert!(matches!(record(&broken), Err(Error::Corrupt(_))), "{name}");
        }
        let mut broken = whole;
        broken.insert("value".into(), text("{"));
        assert!(matches!(record(&broken), Err(Error::Corrupt(_))));
    }
}
