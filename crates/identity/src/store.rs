//! Typed records over the `Records` port, and every key in one place.

use std::sync::Arc;

use cloud::{Clock, Entropy, Expect, Millis, RangeQuery, RecordKey, Records, Version, Write};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{AccountId, EmailAddress, Error, PAGE_MAX, Page, ProjectId, Result, SessionId, TokenId};

/// Attempts of a read-change-write loop before it gives up.
pub(crate) const ATTEMPTS_MAX: usize = 16;

#[derive(Clone)]
pub(crate) struct Store {
    pub records: Arc<dyn Records>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// A record as it was read.
pub(crate) struct Stored<T> {
    pub value: T,
    pub version: Version,
}

impl Store {
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Reads one record; one that has expired counts as absent.
    pub async fn get<T: DeserializeOwned>(&self, key: &RecordKey) -> Result<Option<Stored<T>>> {
        let Some(record) = self.records.get(key).await? else { return Ok(None) };
        if record.expires.is_some_and(|expires| expires <= self.now()) {
            return Ok(None);
        }
        Ok(Some(Stored { value: decode(key, record.value)?, version: record.version }))
    }

    /// Reads one record as the store has it, also when it has expired and is not dropped yet.
    pub async fn get_kept<T: DeserializeOwned>(&self, key: &RecordKey) -> Result<Option<Stored<T>>> {
        let Some(record) = self.records.get(key).await? else { return Ok(None) };
        Ok(Some(Stored { value: decode(key, record.value)?, version: record.version }))
    }

    /// Writes one record; `None` when the expectation does not hold.
    pub async fn put<T: Serialize>(
        &self,
        key: RecordKey,
        value: &T,
        expect: Expect,
        expires: Option<Millis>,
    ) -> Result<Option<Version>> {
        let write = put_until(key, value, expect, expires)?;
        match self.records.transact(vec![write]).await {
            Ok(mut versions) => Ok(versions.pop().flatten()),
            Err(error) if error.is_condition_failed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Store::put`], for a value with something in it that nobody else writes.
    pub async fn put_own<T: Serialize>(
        &self,
        key: RecordKey,
        value: &T,
        expect: Expect,
        expires: Option<Millis>,
    ) -> Result<Option<Version>> {
        self.transact_own(vec![put_until(key, value, expect, expires)?]).await
    }

    /// Makes a transaction whose first write puts a value that nobody else writes: when the answer was lost, or a
    /// repetition lost to the first call, what is stored tells. The version of the first write; `None` when an
    /// expectation does not hold.
    pub async fn transact_own(&self, writes: Vec<Write>) -> Result<Option<Version>> {
        let first = writes.first().cloned();
        let error = match self.records.transact(writes).await {
            Ok(versions) => return Ok(versions.into_iter().next().flatten()),
            Err(error) => error,
        };
        let refused = error.is_condition_failed();
        if let Some(Write::Put { key, value, .. }) = first
            && (refused || matches!(error, cloud::Error::Unclear(_)))
            && let Some(record) = self.records.get(&key).await?
            && record.value == value
        {
            return Ok(Some(record.version));
        }
        if refused { Ok(None) } else { Err(error.into()) }
    }

    /// A page of a partition: each record's sort without `prefix`, and its value.
    pub async fn page<T: DeserializeOwned>(
        &self,
        partition: String,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<(String, Stored<T>)>> {
        let after = after.map(|after| format!("{prefix}{after}"));
        let limit = limit.clamp(1, PAGE_MAX);
        let query = RangeQuery { partition, prefix: prefix.to_owned(), after, descending: false, limit };
        let page = self.records.query(query).await?;
        let strip = |sort: &str| sort.strip_prefix(prefix).unwrap_or_default().to_owned();
        let next = page.next.as_deref().map(strip);
        let mut items = Vec::with_capacity(page.records.len());
        for record in page.records {
            let value = decode(&record.key, record.value)?;
            items.push((strip(&record.key.sort), Stored { value, version: record.version }));
        }
        Ok(Page { items, next })
    }
}

fn decode<T: DeserializeOwned>(key: &RecordKey, value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value).map_err(|error| Error::Corrupt(format!("record `{key}` does not parse: {error}")))
}

pub(crate) fn put<T: Serialize>(key: RecordKey, value: &T, expect: Expect) -> Result<Write> {
    put_until(key, value, expect, None)
}

pub(crate) fn put_until<T: Serialize>(
    key: RecordKey,
    value: &T,
    expect: Expect,
    expires: Option<Millis>,
) -> Result<Write> {
    let value =
        serde_json::to_value(value).map_err(|error| Error::Corrupt(format!("record `{key}` has no JSON: {error}")))?;
    Ok(Write::Put { key, value, expect, expires })
}

/// Where each record lives.
pub(crate) mod key {
    use super::{AccountId, EmailAddress, ProjectId, RecordKey, SessionId, TokenId};

    pub const ACCOUNTS: &str = "accounts";
    pub const MEMBER_PREFIX: &str = "member#";
    pub const PROJECT_PREFIX: &str = "project#";
    pub const TOKEN_PREFIX: &str = "token#";

    pub fn account(id: &AccountId) -> RecordKey {
        RecordKey::new(account_partition(id), "account")
    }

    pub fn account_partition(id: &AccountId) -> String {
        format!("account#{id}")
    }

    pub fn account_listed(id: &AccountId) -> RecordKey {
        RecordKey::new(ACCOUNTS, id.as_str())
    }

    pub fn email(email: &EmailAddress) -> RecordKey {
        RecordKey::new(format!("email#{email}"), "account")
    }

    pub fn password(id: &AccountId) -> RecordKey {
        RecordKey::new(account_partition(id), "password")
    }

    pub fn bootstrap() -> RecordKey {
        RecordKey::new("identity", "bootstrap")
    }

    pub fn signing_keys() -> RecordKey {
        RecordKey::new("identity", "signing-keys")
    }

    pub fn session(id: &SessionId) -> RecordKey {
        RecordKey::new(format!("session#{id}"), "session")
    }

    pub fn token(id: &TokenId) -> RecordKey {
        RecordKey::new(format!("token#{id}"), "token")
    }

    pub fn token_used(id: &TokenId) -> RecordKey {
        RecordKey::new(format!("token#{id}"), "used")
    }

    pub fn token_of(account: &AccountId, id: &TokenId) -> RecordKey {
        RecordKey::new(account_partition(account), format!("{TOKEN_PREFIX}{id}"))
    }

    pub fn ticket(digest: &str) -> RecordKey {
        RecordKey::new(format!("ticket#{digest}"), "ticket")
    }

    pub fn reset(digest: &str) -> RecordKey {
        RecordKey::new(format!("reset#{digest}"), "reset")
    }

    pub fn reset_of(account: &AccountId) -> RecordKey {
        RecordKey::new(account_partition(account), "reset")
    }

    pub fn rate(name: &str) -> RecordKey {
        RecordKey::new(format!("rate#{name}"), "window")
    }

    pub fn project_partition(project: &ProjectId) -> String {
        format!("project#{project}")
    }

    pub fn member(project: &ProjectId, account: &AccountId) -> RecordKey {
        RecordKey::new(project_partition(project), format!("{MEMBER_PREFIX}{account}"))
    }

    pub fn owners(project: &ProjectId) -> RecordKey {
        RecordKey::new(project_partition(project), "owners")
    }

    pub fn project_of(account: &AccountId, project: &ProjectId) -> RecordKey {
        RecordKey::new(account_partition(account), format!("{PROJECT_PREFIX}{project}"))
    }
}
