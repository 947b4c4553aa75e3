//! Small records with conditional transactions: Amazon DynamoDB, or an embedded store.

use crate::{Millis, Result};

/// Where a record lives: all records of one partition are ordered by `sort` (bytewise).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct RecordKey {
    pub partition: String,
    pub sort: String,
}

impl RecordKey {
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into() }
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

/// An opaque token that is new with every write of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

/// A stored value with its version.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub key: RecordKey,
    pub value: serde_json::Value,
    pub version: Version,
    /// The store may drop the record at any time after this; until it has, reads may return it.
    pub expires: Option<Millis>,
}

/// What must be true of a record for the transaction to happen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    #[default]
    Anything,
    Absent,
    Present,
    At(Version),
}

/// One part of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Put {
        key: RecordKey,
        value: serde_json::Value,
        expect: Expect,
        expires: Option<Millis>,
    },
    Delete {
        key: RecordKey,
        expect: Expect,
    },
    /// Writes nothing; the transaction fails when the expectation does not hold.
    Check {
        key: RecordKey,
        expect: Expect,
    },
}

impl Write {
    pub fn put(key: RecordKey, value: serde_json::Value, expect: Expect) -> Self {
        Self::Put { key, value, expect, expires: None }
    }

    pub fn key(&self) -> &RecordKey {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }
}

/// A part of one partition, in order of `sort`.
#[derive(Clone, Debug, Default)]
pub struct RangeQuery {
    pub partition: String,
    /// Only sorts that start with this.
    pub prefix: String,
    /// Only sorts after this one (before it when `descending`); it need not exist.
    pub after: Option<String>,
    pub descending: bool,
    /// At most 1,000; a page may be shorter and still have a `next`.
    pub limit: usize,
}

/// One page of a range.
#[derive(Clone, Debug)]
pub struct RecordPage {
    pub records: Vec<Record>,
    /// Pass as `after` for the next page; `None` when this was the last.
    pub next: Option<String>,
}

/// A place in the change feed; opaque above the adapter.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct FeedPosition(pub String);

/// What a write did to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Insert,
    Modify,
    Remove,
}

/// One committed write, as the feed tells it: with the record before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub position: FeedPosition,
    pub kind: ChangeKind,
    pub key: RecordKey,
    pub old: Option<serde_json::Value>,
    pub new: Option<serde_json::Value>,
    pub at: Millis,
}

/// Changes in the order of their commits.
#[derive(Clone, Debug)]
pub struct ChangePage {
    pub changes: Vec<Change>,
    /// Where to read on; equal to the position asked for when there is nothing new.
    pub next: FeedPosition,
}

/// Records with strongly consistent reads and all-or-nothing conditional writes.
#[async_trait::async_trait]
pub trait Records: Send + Sync {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>>;
    /// A page of a partition; records that have expired are left out.
    async fn query(&self, query: RangeQuery) -> Result<RecordPage>;
    /// Applies all writes or none (at most 100, each key once). The answer has the new version of each
    /// `Put`, in order, `None` for the others. `Error::ConditionFailed` names the first that lost.
    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>>;
}

/// The committed writes of a store, for who asks. DynamoDB does not answer such a question: the table's stream is read
/// by its event source mapping, which hands the records to the function (ADR 9).
#[async_trait::async_trait]
pub trait ChangeFeed: Send + Sync {
    /// Committed changes after `position` (from the oldest kept when `None`), in commit order within
    /// a partition. Delivery is at least once. `Error::Stale` when the position is no longer kept.
    async fn changes(&self, position: Option<&FeedPosition>, limit: usize) -> Result<ChangePage>;
    /// The position after the newest change.
    async fn feed_end(&self) -> Result<FeedPosition>;
}

impl dyn Records + '_ {
    /// Writes one record; the answer is its new version.
    pub async fn put(&self, key: RecordKey, value: serde_json::Value, expect: Expect) -> Result<Version> {
        let mut versions = self.transact(vec![Write::put(key, value, expect)]).await?;
        Ok(versions.pop().flatten().expect("a put answers with a version"))
    }

    pub async fn delete(&self, key: RecordKey, expect: Expect) -> Result<()> {
        self.transact(vec![Write::Delete { key, expect }]).await.map(drop)
    }
}
