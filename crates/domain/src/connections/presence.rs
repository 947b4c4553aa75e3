//! Who is at a project, and in which file.
//!
//! A connection says where its person is; everyone who follows the project is told whenever that changes. Nothing asks
//! again and again. What a connection has said ends with it: when it is closed, when its subscription ends, and at the
//! latest with the longest life that a connection has.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::{SOCKET_LIFE_MAX, SOCKET_MESSAGE_MAX};
use cloud::{ConnectionId, Expect, Millis, Posted, RangeQuery, Write};
use futures::{StreamExt, TryStreamExt};
use git_store::{BranchName, RepoPath};
use identity::{AccountId, Permission, PersonName, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::delivery::DELIVERIES_AT_ONCE;
use super::{ConnectionRecord, Connections, SubscriptionRecord};
use crate::core::decode;
use crate::repository::{parse_branch, parse_path};
use crate::{Caller, Error, Result, keys};

/// People who are told of at a project; the others are counted.
pub const PEOPLE_MAX: usize = 100;
/// A path that is told of (bytes).
const PATH_BYTES_MAX: usize = 1024;
/// Changes that one connection may tell of in a window: each goes to everyone who follows the project.
const CHANGES_MAX: u32 = 30;
const WINDOW: Duration = Duration::from_secs(10);
/// How often people are told again because more has changed while they were told.
const ROUNDS_MAX: usize = 8;

/// Where a person is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    pub account: AccountId,
    pub name: PersonName,
    /// A person with two pages open is there twice.
    pub connection: ConnectionId,
    pub branch: Option<BranchName>,
    pub path: Option<RepoPath>,
    /// When they came there.
    pub since: Millis,
}

/// Everyone at a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    pub people: Vec<Presence>,
    /// There are more than are listed.
    pub more: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PresenceRecord {
    v: u32,
    account: AccountId,
    name: PersonName,
    connection: ConnectionId,
    branch: Option<BranchName>,
    path: Option<RepoPath>,
    since: Millis,
    /// Of the window in which changes are counted.
    window: Millis,
    changes: u32,
}

impl Connections {
    /// Notes where the person at the other end is, and tells everyone who follows the project. The connection has to
    /// follow it itself. What was said before, said again, changes nothing.
    pub async fn set_presence(
        &self,
        connection: &ConnectionId,
        project: &str,
        branch: Option<&str>,
        path: Option<&str>,
    ) -> Result<()> {
        let caller = self.caller(connection).await?;
        let project = self.core.project(&caller, project, Permission::ReadProject).await?.id;
        let branch = branch.map(|raw| parse_branch("branch", raw)).transpose()?;
        let path = path.map(|raw| parse_path("path", raw)).transpose()?;
        if path.as_ref().is_some_and(|path| path.as_str().len() > PATH_BYTES_MAX) {
            return Err(Error::invalid_path("path", format!("A path here has at most {PATH_BYTES_MAX} bytes.")));
        }
        let key = keys::presence(&project, &connection.0);
        let before = self.core.read::<PresenceRecord>(&key).await?.map(|stored| stored.value);
        if before.as_ref().is_some_and(|before| before.branch == branch && before.path == path) {
            return Ok(());
        }
        let opened = self.core.read::<ConnectionRecord>(&keys::connection(&connection.0)).await?;
        let opened = opened.ok_or(Error::NotFound("connection"))?.value.opened;
        let (window, changes) = self.counted(before.as_ref())?;
        let record = PresenceRecord {
            v: 1,
            account: caller.principal.account.clone(),
            name: caller.principal.name.clone(),
            connection: connection.clone(),
            branch,
            path,
            since: self.core.ports.clock.now(),
            window,
            changes,
        };
        let expires = Some(opened.plus(SOCKET_LIFE_MAX));
        let writes = vec![
            Write::Put { key, value: json!(record), expect: Expect::Anything, expires },
            // Not after the end of the subscription, which takes this along.
            Write::Check { key: keys::subscriber(&project, &connection.0), expect: Expect::Present },
        ];
        match self.core.ports.records.transact(writes).await {
            Err(error) if error.is_condition_failed() => {
                return Err(Error::conflict("Subscribe to the project first."));
            }
            other => other?,
        };
        self.announce(vec![project]).await
    }

    fn counted(&self, before: Option<&PresenceRecord>) -> Result<(Millis, u32)> {
        let now = self.core.ports.clock.now();
        match before.filter(|before| now.since(before.window) < WINDOW) {
            None => Ok((now, 1)),
            Some(before) if before.changes >= CHANGES_MAX => Err(Error::Quota(
                format!("A connection says at most {CHANGES_MAX} times in {} s where it is.", WINDOW.as_secs()).into(),
            )),
            Some(before) => Ok((before.window, before.changes + 1)),
        }
    }

    /// Who is at a project now.
    pub async fn people(&self, caller: &Caller, project: &str) -> Result<People> {
        let project = self.core.project(caller, project, Permission::ReadProject).await?.id;
        self.present(&project).await
    }

    async fn present(&self, project: &ProjectId) -> Result<People> {
        let range = RangeQuery { partition: keys::presences(project), limit: PEOPLE_MAX + 1, ..RangeQuery::default() };
        let page = self.core.ports.records.query(range).await?;
        let (now, mut found) = (self.core.ports.clock.now(), People::default());
        let mut size = 0;
        for record in page.records {
            if record.expires.is_some_and(|expires| expires <= now) {
                continue;
            }
            let one: PresenceRecord = decode(&record)?;
            let one = one.view();
            // Room for the rest of the message.
            size += one.to_json().to_string().len() + 1;
            if found.people.len() == PEOPLE_MAX || size > SOCKET_MESSAGE_MAX - 1024 {
                found.more = true;
                break;
            }
            found.people.push(one);
        }
        found.more |= page.next.is_some();
        Ok(found)
    }

    /// Tells one connection, which has just come.
    pub(super) async fn greet(&self, connection: &ConnectionId, project: &ProjectId) -> Result<()> {
        let message = self.present(project).await?.message(project);
        self.post_bytes(connection, message).await.map(drop)
    }

    /// Takes back where a connection is; whether it was there.
    pub(super) async fn leave(&self, connection: &ConnectionId, project: &ProjectId) -> Result<bool> {
        let key = keys::presence(project, &connection.0);
        let was = self.core.ports.records.get(&key).await?.is_some();
        if was {
            self.core.ports.records.transact(vec![Write::Delete { key, expect: Expect::Anything }]).await?;
        }
        Ok(was)
    }

    /// Tells everyone who follows these projects who is there. It is looked at again afterwards, so that of two who
    /// tell at the same time the last one tells of both. Who does not answer is gone, and that is told too.
    pub(super) async fn announce(&self, projects: Vec<ProjectId>) -> Result<()> {
        let mut waiting: VecDeque<ProjectId> = projects.into();
        for _ in 0..ROUNDS_MAX * waiting.len().max(1) {
            let Some(project) = waiting.pop_front() else { return Ok(()) };
            let people = self.present(&project).await?;
            for left in self.tell(&project, people.message(&project)).await? {
                if !waiting.contains(&left) {
                    waiting.push_back(left);
                }
            }
            if self.present(&project).await? != people && !waiting.contains(&project) {
                waiting.push_back(project);
            }
        }
        Ok(())
    }

    /// Sends a message to all followers; the answer is the projects that someone turned out to have left.
    async fn tell(&self, project: &ProjectId, message: Bytes) -> Result<Vec<ProjectId>> {
        let told = self.subscribers(project).map(|record| {
            let message = message.clone();
            async move {
                let record: SubscriptionRecord = decode(&record?)?;
                if !self.may_follow(project, &record).await? {
                    return self.shut_out(project, &record.connection).await;
                }
                match self.post_bytes(&record.connection, message).await? {
                    Posted::Sent => Ok(Vec::new()),
                    Posted::Gone | Posted::Behind => self.forget(&record.connection).await,
                }
            }
        });
        let left: Vec<Vec<ProjectId>> = told.buffer_unordered(DELIVERIES_AT_ONCE).try_collect().await?;
        Ok(left.concat())
    }
}

impl PresenceRecord {
    fn view(self) -> Presence {
        let Self { account, name, connection, branch, path, since, .. } = self;
        Presence { account, name, connection, branch, path, since }
    }
}

impl Presence {
    fn to_json(&self) -> serde_json::Value {
        let Self { account, name, connection, branch, path, since } = self;
        json!({
            "account": account, "name": name, "connection": connection, "branch": branch, "path": path, "since": since,
        })
    }
}

impl People {
    fn message(&self, project: &ProjectId) -> Bytes {
        let people: Vec<_> = self.people.iter().map(Presence::to_json).collect();
        let message = json!({ "type": "presence", "project": project, "people": people, "more": self.more });
        Bytes::from(message.to_string())
    }
}
