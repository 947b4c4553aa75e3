//! The journal of a project: events in order, and who did what.
//!
//! **Invariant**: an event and its audit entry are written in the transaction that makes the change they tell of.
//! Sequences of a project have no gap.

use std::sync::Arc;
use std::time::Duration;

use cloud::{Clock, Entropy, EventBus, Expect, Millis, RangeQuery, Records, Version, Write};
use identity::{Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::Core;
use crate::{Caller, Error, Page, PageQuery, Result, keys};

/// How often a transaction is tried again when another event took its place in the order.
const APPEND_ATTEMPTS: u32 = 60;

/// What happened, as it is stored, listed and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventEnvelope {
    pub id: String,
    /// `project.created`, `git.pushed`, `job.updated`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The part of the platform that tells: always `workroom`.
    pub source: String,
    pub time: Millis,
    pub project: String,
    /// The account that set it off.
    pub actor: String,
    /// What it happened to: `job/01J…`, `branch/main`, …
    pub resource: String,
    pub correlation_id: String,
    pub idempotency_token: Option<String>,
    /// Counts up by one within the project, from 1.
    pub sequence: u64,
    pub detail: Value,
}

impl EventEnvelope {
    /// Where it can be read alone.
    pub fn href(&self) -> String {
        format!("/projects/{}/events?after={}&limit=1", self.project, self.sequence.saturating_sub(1))
    }
}

/// An event about to be written.
#[derive(Clone, Debug)]
pub struct NewEvent {
    pub kind: &'static str,
    pub resource: String,
    pub detail: Value,
    /// Progress is an event but no audit entry.
    pub audited: bool,
}

impl NewEvent {
    pub fn new(kind: &'static str, resource: impl Into<String>, detail: Value) -> Self {
        Self { kind, resource: resource.into(), detail, audited: true }
    }

    pub fn unaudited(self) -> Self {
        Self { audited: false, ..self }
    }
}

/// Who is written as the actor of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    pub actor: String,
    pub correlation_id: String,
    pub idempotency_token: Option<String>,
}

impl Author {
    pub fn of(caller: &Caller) -> Self {
        Self {
            actor: caller.principal.account.to_string(),
            correlation_id: caller.correlation_id.clone(),
            idempotency_token: caller.idempotency_token.clone(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct EventHead {
    pub sequence: u64,
}

/// Writes events and audit entries.
#[derive(Clone)]
pub struct Journal {
    records: Arc<dyn Records>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Journal {
    pub(crate) fn new(records: Arc<dyn Records>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { records, clock, entropy }
    }

    /// The writes that put `events` at the end of the project's journal, for a transaction that also makes the
    /// change. Good for one attempt: when the head has moved, the transaction fails on it and this is asked anew.
    pub async fn along(&self, project: &ProjectId, author: &Author, events: &[NewEvent]) -> cloud::Result<Vec<Write>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let key = keys::event_head(project);
        let head = self.records.get(&key).await?;
        let (mut sequence, expect) = match &head {
            None => (0, Expect::Absent),
            Some(record) => (sequence_of(&record.value), Expect::At(record.version.clone())),
        };
        let now = self.clock.now();
        let mut writes = Vec::with_capacity(events.len() * 2 + 1);
        for event in events {
            sequence += 1;
            let id = self.entropy.ulid(now);
            if event.audited {
                writes.push(audit_entry(project, author, event, &id, now));
            }
            let envelope = EventEnvelope {
                id,
                kind: event.kind.into(),
                source: "workroom".into(),
                time: now,
                project: project.to_string(),
                actor: author.actor.clone(),
                resource: event.resource.clone(),
                correlation_id: author.correlation_id.clone(),
                idempotency_token: author.idempotency_token.clone(),
                sequence,
                detail: event.detail.clone(),
            };
            writes.push(Write::put(keys::event(project, sequence), json!(envelope), Expect::Absent));
        }
        writes.push(Write::put(key, json!(EventHead { sequence }), expect));
        Ok(writes)
    }

    /// Makes `writes` together with their events. `Error::ConditionFailed` only when one of `writes` lost: a race
    /// for the place in the journal is run again. The versions are those of `writes`, in order; `None` for all of them
    /// when the answer was lost and the events told that the change was made.
    pub async fn commit(
        &self,
        project: &ProjectId,
        author: &Author,
        events: &[NewEvent],
        writes: Vec<Write>,
    ) -> cloud::Result<Vec<Option<Version>>> {
        for attempt in 0..APPEND_ATTEMPTS {
            let mut all = writes.clone();
            all.extend(self.along(project, author, events).await?);
            match self.settle(all).await {
                Err(cloud::Error::ConditionFailed { key, .. }) if is_journal_key(project, &key) => {
                    self.back_off(attempt).await;
                }
                other => return other,
            }
        }
        Err(cloud::Error::Unavailable("the project's journal".into()))
    }

    /// Makes a transaction once. Its first event tells what became of it when the answer was lost, or when a repetition
    /// below the port lost to the first call.
    async fn settle(&self, writes: Vec<Write>) -> cloud::Result<Vec<Option<Version>>> {
        let mut made = self.records.transact(writes.clone()).await;
        let unclear = matches!(made, Err(cloud::Error::Unclear(_)));
        if unclear {
            // The same again: both expect the same head, so that one of the two at most takes effect.
            made = self.records.transact(writes.clone()).await;
        }
        match made {
            Err(error) if unclear || error.is_condition_failed() => match self.is_written(&writes).await? {
                true => Ok(vec![None; writes.len()]),
                false => Err(error),
            },
            other => other,
        }
    }

    /// Whether the first event of these writes stands in the journal.
    async fn is_written(&self, writes: &[Write]) -> cloud::Result<bool> {
        let event = writes.iter().find_map(|write| match write {
            Write::Put { key, value, .. } if key.sort.starts_with(keys::EVENT) => Some((key, value)),
            _ => None,
        });
        let Some((key, value)) = event else { return Ok(false) };
        Ok(self.records.get(key).await?.is_some_and(|stored| stored.value == *value))
    }

    /// Waits up to a few milliseconds, longer with each attempt, so that writers do not keep meeting.
    async fn back_off(&self, attempt: u32) {
        let [random] = self.entropy.bytes::<1>();
        let most = u64::from(attempt.min(10) + 1) * 2;
        tokio::time::sleep(Duration::from_millis(u64::from(random) % most)).await;
    }
}

fn sequence_of(head: &Value) -> u64 {
    head.get("sequence").and_then(Value::as_u64).unwrap_or(0)
}

fn is_journal_key(project: &ProjectId, key: &str) -> bool {
    let place = keys::event_head(project).to_string();
    let events = format!("{}/{}", keys::partition(project), keys::EVENT);
    key == place || key.starts_with(&events)
}

fn audit_entry(project: &ProjectId, author: &Author, event: &NewEvent, id: &str, now: Millis) -> Write {
    let entry = json!({
        "v": 1,
        "id": id,
        "at": now,
        "actor": author.actor,
        "action": event.kind,
        "resource": event.resource,
        "correlation_id": author.correlation_id,
        "detail": event.detail,
    });
    Write::put(keys::audit(project, id), entry, Expect::Absent)
}

/// Reads a project's journal.
#[derive(Clone)]
pub struct Events {
    core: Arc<Core>,
}

impl Events {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(crate) fn bus(&self) -> Option<&Arc<dyn EventBus>> {
        self.core.ports.bus.as_ref()
    }

    /// The events after the sequence `after` (0 for all), oldest first. The cursor is the last sequence.
    pub async fn list(&self, caller: &Caller, project: &str, query: &PageQuery) -> Result<Page<EventEnvelope>> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?;
        let after = match &query.after {
            None => 0,
            Some(raw) => raw.parse().map_err(|_| Error::invalid_cursor())?,
        };
        let items = self.after(&project.id, after, query.limit()).await?;
        let next = (items.len() == query.limit()).then(|| items.last().map(|e| e.sequence.to_string())).flatten();
        Ok(Page { items, next })
    }

    /// For the platform itself: the events after `after`, at most `limit`.
    pub async fn after(&self, project: &ProjectId, after: u64, limit: usize) -> Result<Vec<EventEnvelope>> {
        let mut events = Vec::new();
        let mut from = Some(keys::event_sort(after));
        while let Some(after) = from.take() {
            let query = RangeQuery {
                partition: keys::partition(project),
                prefix: keys::EVENT.into(),
                after: Some(after),
                descending: false,
                limit: limit - events.len(),
            };
            let page = self.core.ports.records.query(query).await?;
            for record in page.records {
                events.push(crate::core::decode(&record)?);
            }
            if events.len() < limit {
                from = page.next;
            }
        }
        Ok(events)
    }

    /// The newest sequence with the token of the head record; `(0, None)` when nothing has happened yet.
    pub(crate) async fn head(&self, project: &ProjectId) -> Result<(u64, Option<Version>)> {
        let head = self.core.ports.records.get(&keys::event_head(project)).await?;
        Ok(head.map_or((0, None), |record| (sequence_of(&record.value), Some(record.version))))
    }
}
