//! What holds of a transaction before any store is asked: the same on one machine as on AWS.

use std::collections::HashSet;

use serde_json::Value;

use crate::limits::{
    RECORD_MAX, RECORD_PARTITION_MAX, RECORD_SORT_MAX, RECORD_VALUE_DEPTH_MAX, TRANSACTION_MAX, TRANSACTION_WRITES_MAX,
};
use crate::{Error, RecordKey, Result, Write};

/// Checks the number of writes, their keys and their sizes. The answer has the JSON text of each put's value, in
/// order, `None` for the others. `Error::Invalid` or `Error::TooLarge` otherwise.
pub fn check_writes(writes: &[Write]) -> Result<Vec<Option<String>>> {
    if writes.is_empty() || writes.len() > TRANSACTION_WRITES_MAX {
        return Err(Error::Invalid(format!("a transaction has 1 to {TRANSACTION_WRITES_MAX} writes")));
    }
    let mut keys = HashSet::new();
    let mut texts = Vec::with_capacity(writes.len());
    let mut total = 0;
    for write in writes {
        let key = write.key();
        check_key(key)?;
        if !keys.insert(key) {
            return Err(Error::Invalid(format!("a transaction names `{key}` twice")));
        }
        let text = match write {
            Write::Put { value, .. } => Some(text_of(key, value)?),
            Write::Delete { .. } | Write::Check { .. } => None,
        };
        total += key.partition.len() + key.sort.len() + text.as_ref().map_or(0, String::len);
        texts.push(text);
    }
    if total > TRANSACTION_MAX {
        let (actual, limit) = (total as u64, TRANSACTION_MAX as u64);
        return Err(Error::TooLarge { what: "a transaction".into(), actual, limit });
    }
    Ok(texts)
}

fn check_key(key: &RecordKey) -> Result<()> {
    let fits = |part: &str, max: usize| (1..=max).contains(&part.len());
    if fits(&key.partition, RECORD_PARTITION_MAX) && fits(&key.sort, RECORD_SORT_MAX) {
        return Ok(());
    }
    Err(Error::Invalid("a record key has 1 to 2,048 bytes of partition and 1 to 1,024 of sort".into()))
}

fn text_of(key: &RecordKey, value: &Value) -> Result<String> {
    if !nests_within(value, RECORD_VALUE_DEPTH_MAX) {
        return Err(Error::Invalid(format!("the value of `{key}` nests deeper than {RECORD_VALUE_DEPTH_MAX}")));
    }
    let text = value.to_string();
    let size = text.len() + key.partition.len() + key.sort.len();
    if size > RECORD_MAX {
        let (actual, limit) = (size as u64, RECORD_MAX as u64);
        return Err(Error::TooLarge { what: format!("record `{key}`"), actual, limit });
    }
    Ok(text)
}

fn nests_within(value: &Value, depth: usize) -> bool {
    match value {
        Value::Array(items) => depth > 0 && items.iter().all(|item| nests_within(item, depth - 1)),
        Value::Object(fields) => depth > 0 && fields.values().all(|field| nests_within(field, depth - 1)),
        _ => true,
    }
}
