//! `Records`, `Parameters` and `Sockets` in memory, for tests above the ports.
//!
//! They keep the promises of the ports and use every freedom that the ports give: an expired record is still
//! read by `get` and still counts for conditions, so that a caller who forgets to look at `expires` is found; and
//! every call lets other tasks run first, so that a read and the write that follows from it can be overtaken.

mod sockets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloud::limits::{PARAMETER_MAX, RECORD_PAGE_MAX};
use cloud::{
    Change, ChangeFeed, ChangeKind, ChangePage, Clock, Error, Expect, FeedPosition, Parameter, ParameterName,
    Parameters, RangeQuery, Record, RecordKey, RecordPage, Records, Result, Secret, Version, Write, check_writes,
};
use serde_json::Value;

pub use sockets::{MemoryPeer, MemorySockets};

/// Records in one range query.
const QUERY_LIMIT_MAX: usize = 1000;

/// A `Records` without a disk. Clones share what is stored.
#[derive(Clone)]
pub struct MemoryRecords {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<RecordState>>,
}

#[derive(Default)]
struct RecordState {
    records: BTreeMap<RecordKey, Record>,
    changes: Vec<Change>,
    /// Puts so far; makes every version new.
    written: u64,
}

impl MemoryRecords {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Everything stored, in order of the keys: for tests that look for what must not be there.
    pub fn dump(&self) -> Vec<Record> {
        self.lock().records.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, RecordState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordState {
    fn holds(&self, key: &RecordKey, expect: &Expect) -> bool {
        match (expect, self.records.get(key)) {
            (Expect::Anything, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => true,
            (Expect::At(version), Some(record)) => record.version == *version,
            _ => false,
        }
    }

    fn apply(&mut self, write: Write, at: cloud::Millis) -> Option<Version> {
        let key = write.key().clone();
        let (new, version) = match write {
            Write::Put { key, value, expires, .. } => {
                self.written += 1;
                let version = Version(format!("v{}", self.written));
                (Some(Record { key, value, version: version.clone(), expires }), Some(version))
            }
            Write::Delete { .. } => (None, None),
            Write::Check { .. } => return None,
        };
        let new_value = new.as_ref().map(|record| record.value.clone());
        let old = match new {
            Some(record) => self.records.insert(key.clone(), record),
            None => self.records.remove(&key),
        };
        let old_value = old.map(|record| record.value);
        let kind = match (&old_value, &new_value) {
            (None, None) => return version,
            (None, Some(_)) => ChangeKind::Insert,
            (Some(_), Some(_)) => ChangeKind::Modify,
            (Some(_), None) => ChangeKind::Remove,
        };
        let position = position(self.changes.len() + 1);
        self.changes.push(Change { position, kind, key, old: old_value, new: new_value, at });
        version
    }
}

fn position(count: usize) -> FeedPosition {
    FeedPosition(format!("{count:020}"))
}

fn size_of(key: &RecordKey, value: Option<&Value>) -> usize {
    key.partition.len() + key.sort.len() + value.map_or(0, |value| value.to_string().len())
}

fn too_large(what: String, actual: usize, limit: usize) -> Error {
    Error::TooLarge { what, actual: actual as u64, limit: limit as u64 }
}

#[async_trait::async_trait]
impl Records for MemoryRecords {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        tokio::task::yield_now().await;
        Ok(self.lock().records.get(key).cloned())
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        tokio::task::yield_now().await;
        if query.partition.is_empty() || query.limit == 0 || query.limit > QUERY_LIMIT_MAX {
            return Err(Error::Invalid(format!(
                "a query names a partition and asks for 1 to {QUERY_LIMIT_MAX} records"
            )));
        }
        let now = self.clock.now();
        let state = self.lock();
        let after = query.after.as_deref();
        let mut found: Vec<&Record> = state
            .records
            .values()
            .filter(|record| record.key.partition == query.partition && record.key.sort.starts_with(&query.prefix))
            .filter(|record| record.expires.is_none_or(|expires| expires > now))
            .filter(|record| match after {
                Some(after) if query.descending => record.key.sort.as_str() < after,
                Some(after) => record.key.sort.as_str() > after,
                None => true,
            })
            .collect();
        if query.descending {
            found.reverse();
        }
        let mut bytes = 0;
        let fit = found.iter().take(query.limit).take_while(|record| {
            bytes += size_of(&record.key, Some(&record.value));
            bytes <= RECORD_PAGE_MAX
        });
        let records: Vec<Record> = fit.map(|record| (*record).clone()).collect();
        let next = (records.len() < found.len()).then(|| records.last().map(|last| last.key.sort.clone())).flatten();
        Ok(RecordPage { records, next })
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        tokio::task::yield_now().await;
        check_writes(&writes)?;
        let at = self.clock.now();
        let mut state = self.lock();
        for (index, write) in writes.iter().enumerate() {
            let (Write::Put { key, expect, .. } | Write::Delete { key, expect } | Write::Check { key, expect }) = write;
            if !state.holds(key, expect) {
                return Err(Error::ConditionFailed { key: key.to_string(), index: Some(index) });
            }
        }
        Ok(writes.into_iter().map(|write| state.apply(write, at)).collect())
    }
}

#[async_trait::async_trait]
impl ChangeFeed for MemoryRecords {
    async fn changes(&self, position: Option<&FeedPosition>, limit: usize) -> Result<ChangePage> {
        tokio::task::yield_now().await;
        let state = self.lock();
        let start = match position {
            None => 0,
            Some(position) => position.0.parse::<usize>().map_err(|_| Error::Stale("the feed position"))?,
        };
        if start > state.changes.len() {
            return Err(Error::Stale("the feed position"));
        }
        let changes: Vec<Change> = state.changes[start..].iter().take(limit).cloned().collect();
        let next = self::position(start + changes.len());
        Ok(ChangePage { changes, next })
    }

    async fn feed_end(&self) -> Result<FeedPosition> {
        Ok(position(self.lock().changes.len()))
    }
}

/// A `Parameters` without a disk. Clones share what is stored.
#[derive(Clone)]
pub struct MemoryParameters {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<BTreeMap<ParameterName, Parameter>>>,
}

impl MemoryParameters {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ParameterName, Parameter>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait::async_trait]
impl Parameters for MemoryParameters {
    async fn get(&self, name: &ParameterName) -> Result<Option<Parameter>> {
        tokio::task::yield_now().await;
        Ok(self.lock().get(name).cloned())
    }

    async fn put(&self, name: &ParameterName, value: Secret, sealed: bool) -> Result<u64> {
        tokio::task::yield_now().await;
        if value.expose().len() > PARAMETER_MAX {
            return Err(too_large(format!("`{name}`"), value.expose().len(), PARAMETER_MAX));
        }
        if value.expose().is_empty() {
            return Err(Error::Invalid(format!("parameter `{name}` has no value")));
        }
        let mut state = self.lock();
        let version = state.get(name).map_or(0, |parameter| parameter.version) + 1;
        let parameter = Parameter { name: name.clone(), value, sealed, version, modified: self.clock.now() };
        state.insert(name.clone(), parameter);
        Ok(version)
    }

    async fn delete(&self, name: &ParameterName) -> Result<()> {
        self.lock().remove(name);
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&ParameterName>, limit: usize) -> Result<Vec<Parameter>> {
        let state = self.lock();
        let matching = state.values().filter(|parameter| parameter.name.as_str().starts_with(prefix));
        Ok(matching
            .filter(|parameter| after.is_none_or(|after| parameter.name > *after))
            .take(limit)
            .cloned()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use cloud::SystemClock;
    use serde_json::json;

    use super::*;

    fn records() -> Arc<dyn Records> {
        Arc::new(memory())
    }

    fn memory() -> MemoryRecords {
        MemoryRecords::new(Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn a_transaction_with_one_lost_condition_writes_nothing() {
        let memory = memory();
        let records: &dyn Records = &memory;
        let (a, b) = (RecordKey::new("p", "a"), RecordKey::new("p", "b"));
        records.put(a.clone(), json!(1), Expect::Absent).await.unwrap();
        let writes =
            vec![Write::put(b.clone(), json!(2), Expect::Absent), Write::put(a.clone(), json!(2), Expect::Absent)];
        let lost = records.transact(writes).await.unwrap_err();
        assert!(matches!(lost, Error::ConditionFailed { index: Some(1), .. }));
        assert!(records.get(&b).await.unwrap().is_none());
        assert_eq!(memory.changes(None, 10).await.unwrap().changes.len(), 1);
    }

    #[tokio::test]
    async fn a_version_is_good_for_one_write() {
        let records = records();
        let key = RecordKey::new("p", "a");
        let version = records.put(key.clone(), json!(1), Expect::Absent).await.unwrap();
        records.put(key.clone(), json!(2), Expect::At(version.clone())).await.unwrap();
        assert!(records.put(key, json!(3), Expect::At(version)).await.unwrap_err().is_condition_failed());
    }

    #[tokio::test]
    async fn pages_run_through_a_partition_both_ways() {
        let records = records();
        for sort in ["x#1", "x#2", "x#3", "y#1"] {
            records.put(RecordKey::new("p", sort), json!(sort), Expect::Anything).await.unwrap();
        }
        for (descending, expected) in [(false, ["x#1", "x#2", "x#3"]), (true, ["x#3", "x#2", "x#1"])] {
            let mut query =
                RangeQuery { partition: "p".into(), prefix: "x#".into(), after: None, descending, limit: 2 };
            let mut sorts = Vec::new();
            loop {
                let page = records.query(query.clone()).await.unwrap();
                sorts.extend(page.records.into_iter().map(|record| record.key.sort));
                let Some(next) = page.next else { break };
                query.after = Some(next);
            }
            assert_eq!(sorts, expected);
        }
    }
}
