//! Who did what: the audit entries of a project, and of the whole platform.
//!
//! An entry is written by the transaction of the change that it tells of, into the project's own partition. The consumer
//! of the change feed copies it into a list of the platform by month, so that all of them are read newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::{Expect, Millis, RangeQuery, Record, Write};
use identity::{AccountId, Permission, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::{Core, decode};
use crate::usage::{Month, require_admin};
use crate::{Caller, Error, Page, PageQuery, Result, keys};

/// Entries that one request looks at; with a filter it goes on with the next page.
const SCANNED_MAX: usize = 1_000;
/// Months that the list of the platform goes back.
const MONTHS_MAX: usize = 120;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    pub id: String,
    pub time: Millis,
    /// The account's id.
    pub actor: String,
    /// `None` when there is no such account any more.
    pub actor_name: Option<String>,
    /// `member.set`, `quota.set`, `token.created`, …
    pub kind: String,
    /// `None` for what belongs to no project.
    pub project: Option<ProjectId>,
    pub resource: String,
    pub detail: Value,
    /// Of the request that asked for it.
    pub correlation_id: String,
}

/// Which entries are listed.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// A project's slug or id.
    pub project: Option<String>,
    /// An account's id.
    pub actor: Option<String>,
    pub kind: Option<String>,
    pub page: PageQuery,
}

#[derive(Serialize, Deserialize)]
struct EntryRecord {
    id: String,
    at: Millis,
    actor: String,
    action: String,
    resource: String,
    correlation_id: String,
    detail: Value,
    /// Only in the platform's list.
    project: Option<ProjectId>,
}

/// Reads audit entries.
#[derive(Clone)]
pub struct Audit {
    core: Arc<Core>,
}

/// A page of entries being put together.
struct Reading<'a> {
    query: &'a AuditQuery,
    names: BTreeMap<String, Option<String>>,
    items: Vec<AuditEntry>,
    looked: usize,
}

impl Audit {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// A project's entries, newest first; for who manages it.
    pub async fn of_project(&self, caller: &Caller, project: &str, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        let project = self.core.project(caller, project, Permission::ManageProject).await?.id;
        self.within(&project, query).await
    }

    /// The entries of all projects and of none, newest first; for platform admins.
    pub async fn list(&self, caller: &Caller, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        require_admin(caller)?;
        if let Some(raw) = &query.project {
            let project = self.core.named_project(raw).await?.ok_or(Error::NotFound("project"))?;
            return self.within(&project, query).await;
        }
        let mut month = Month::of(self.core.ports.clock.now());
        let mut after = None;
        if let Some(raw) = &query.page.after {
            let (of, id) = raw.split_once('#').ok_or_else(Error::invalid_cursor)?;
            month = Month::parse(of).map_err(|_| Error::invalid_cursor())?;
            // The end of a month without an id: its list is at its end.
            if !id.is_empty() && !crate::ids::is_ulid(id) {
                return Err(Error::invalid_cursor());
            }
            after = (!id.is_empty()).then(|| id.to_owned());
        }
        let mut reading = Reading { query, names: BTreeMap::new(), items: Vec::new(), looked: 0 };
        for _ in 0..MONTHS_MAX {
            let partition = keys::audit_month(&month);
            let stopped = self.read(&mut reading, &partition, "", None, after.take()).await?;
            if let Some(last) = stopped {
                return Ok(Page { items: reading.items, next: Some(format!("{}#{last}", month.as_str())) });
            }
            month = month.before();
        }
        Ok(Page { items: reading.items, next: None })
    }

    async fn within(&self, project: &ProjectId, query: &AuditQuery) -> Result<Page<AuditEntry>> {
        let after = query.page.after(keys::AUDIT, crate::ids::is_ulid)?;
        let mut reading = Reading { query, names: BTreeMap::new(), items: Vec::new(), looked: 0 };
        let partition = keys::partition(project);
        let stopped = self.read(&mut reading, &partition, keys::AUDIT, Some(project), after).await?;
        let next = stopped.map(|sort| sort.trim_start_matches(keys::AUDIT).to_owned());
        Ok(Page { items: reading.items, next })
    }

    /// Reads a list of entries backwards until the page is full or enough was looked at; the answer is where it
    /// stopped, or `None` at the list's end.
    async fn read(
        &self,
        reading: &mut Reading<'_>,
        partition: &str,
        prefix: &str,
        project: Option<&ProjectId>,
        mut after: Option<String>,
    ) -> Result<Option<String>> {
        loop {
            let range = RangeQuery {
                partition: partition.to_owned(),
                prefix: prefix.to_owned(),
                after: after.take(),
                descending: true,
                limit: reading.query.page.limit(),
            };
            let page = self.core.ports.records.query(range).await?;
            for record in &page.records {
                self.take(reading, record, project).await?;
                if reading.items.len() == reading.query.page.limit() || reading.looked >= SCANNED_MAX {
                    return Ok(Some(record.key.sort.clone()));
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(None),
            }
        }
    }

    async fn take(&self, reading: &mut Reading<'_>, record: &Record, project: Option<&ProjectId>) -> Result<()> {
        reading.looked += 1;
        let entry: EntryRecord = decode(record)?;
        let AuditQuery { actor, kind, .. } = reading.query;
        let wanted = |filter: &Option<String>, value: &str| filter.as_ref().is_none_or(|wanted| wanted == value);
        if !wanted(actor, &entry.actor) || !wanted(kind, &entry.action) {
            return Ok(());
        }
        if !reading.names.contains_key(&entry.actor) {
            let name = self.name(&entry.actor).await?;
            reading.names.insert(entry.actor.clone(), name);
        }
        let project = project.cloned().or(entry.project).filter(|project| *project != keys::platform());
        reading.items.push(AuditEntry {
            id: entry.id,
            time: entry.at,
            actor_name: reading.names[&entry.actor].clone(),
            actor: entry.actor,
            kind: entry.action,
            project,
            resource: entry.resource,
            detail: entry.detail,
            correlation_id: entry.correlation_id,
        });
        Ok(())
    }

    async fn name(&self, actor: &str) -> Result<Option<String>> {
        let Ok(id) = AccountId::parse(actor) else { return Ok(None) };
        match self.core.identity.accounts().get(&id).await {
            Ok(account) => Ok(Some(account.name.to_string())),
            Err(identity::Error::NotFound(_)) => Ok(None),
            Err(error) => Err(Error::identity(error, "account")),
        }
    }

    /// For the consumer of the change feed: copies a project's entry into the platform's list. May be called again.
    pub async fn list_entry(&self, project: &ProjectId, entry: &Value) -> Result<()> {
        let read = serde_json::from_value::<EntryRecord>(entry.clone());
        let read = read.map_err(|error| Error::internal("reading an audit entry", error))?;
        let mut listed = entry.clone();
        listed["project"] = json!(project);
        let key = keys::audit_listed(&Month::of(read.at), &read.id);
        self.core.ports.records.transact(vec![Write::put(key, listed, Expect::Anything)]).await?;
        Ok(())
    }
}
