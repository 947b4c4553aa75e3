//! Open sockets: who is connected, and which projects and logs they follow.
//!
//! **Invariant**: a live subscription has been sent every event up to its `delivered` sequence, in order. A new one
//! replays first and becomes live in a transaction that fails if an event was written meanwhile, so that between
//! replay and live delivery nothing is lost. Membership is checked again at each delivery.

mod delivery;
mod presence;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cloud::limits::{SOCKET_EVENT_MAX, SOCKET_LIFE_MAX, SOCKET_MESSAGE_MAX};
use cloud::{ConnectionId, Expect, Millis, Posted, RangeQuery, Record, Version, Write};
use identity::{AccountId, Permission, Principal, ProjectId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::Core;
use crate::events::{EventEnvelope, Events};
use crate::{Caller, Error, Result, keys};

pub use delivery::DELIVERIES_AT_ONCE;
pub use presence::{PEOPLE_MAX, People, Presence};
pub use tail::{TailMessage, TailTarget};

/// Events that a subscription replays at most; a cursor older than that reads the list of events first.
pub const REPLAY_MAX: u64 = 5_000;
const REPLAY_PAGE: usize = 100;
/// Sockets of one session that are closed in one go.
const HELD_PAGE: usize = 100;
/// A connection that takes longer for one message does not read: it is closed.
const POST_MAX: Duration = Duration::from_secs(10);
/// A post that the gateway refuses for being one too many is tried this often, with a pause that doubles.
const POST_ATTEMPTS_MAX: u32 = 4;
const POST_PAUSE_FIRST: Duration = Duration::from_millis(250);
/// A replay that takes longer has died with its function: live delivery takes over.
const REPLAY_LIFE: Duration = Duration::from_secs(60);

/// An open socket.
#[derive(Clone, Debug)]
pub struct Connection {
    pub id: ConnectionId,
    pub principal: Principal,
}

/// What a subscription started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    pub project: ProjectId,
    /// The last sequence that the client has when live delivery begins.
    pub sequence: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct ConnectionRecord {
    v: u32,
    context: BTreeMap<String, String>,
    opened: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Replaying,
    Live,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SubscriptionRecord {
    v: u32,
    connection: ConnectionId,
    account: AccountId,
    phase: Phase,
    delivered: u64,
    since: Millis,
}

/// Opens, feeds and closes sockets.
#[derive(Clone)]
pub struct Connections {
    core: Arc<Core>,
}

impl Connections {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Notes a new connection of a proven principal. `Error::NotFound` when the principal's session has ended meanwhile.
    pub async fn open(&self, connection: &ConnectionId, principal: &Principal) -> Result<()> {
        let now = self.core.ports.clock.now();
        let record = ConnectionRecord { v: 1, context: principal.to_context(), opened: now };
        let mut writes = vec![self.kept(keys::connection(&connection.0), json!(record), Expect::Anything)];
        let account = keys::held_connection(principal.account.as_str(), &connection.0);
        writes.push(self.kept(account, json!({}), Expect::Anything));
        if let Some(holder) = holder(principal) {
            writes.push(self.kept(keys::held_connection(holder, &connection.0), json!({}), Expect::Anything));
        }
        self.core.ports.records.transact(writes).await?;
        // The session may have ended meanwhile: whoever ends it closes what is noted by then.
        self.caller(connection).await.map(drop)
    }

    /// Closes every socket that a session or token opened: it has ended. May be called again.
    pub async fn close_held(&self, holder: &str) -> Result<()> {
        loop {
            let range = RangeQuery { partition: keys::held(holder), limit: HELD_PAGE, ..RangeQuery::default() };
            let page = self.core.ports.records.query(range).await?;
            for record in &page.records {
                let connection = ConnectionId(record.key.sort.clone());
                self.core.ports.sockets.close(&connection).await?;
                self.close(&connection).await?;
                let held = Write::Delete { key: record.key.clone(), expect: Expect::Anything };
                self.core.ports.records.transact(vec![held]).await?;
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    /// Closes the sockets of an account whose session or token no longer counts: it is disabled, or its password is
    /// another. May be called again.
    pub async fn close_void(&self, account: &AccountId) -> Result<()> {
        let mut after = None;
        loop {
            let partition = keys::held(account.as_str());
            let range = RangeQuery { partition, after, limit: HELD_PAGE, ..RangeQuery::default() };
            let page = self.core.ports.records.query(range).await?;
            for record in &page.records {
                let connection = ConnectionId(record.key.sort.clone());
                match self.caller(&connection).await {
                    Ok(_) => continue,
                    Err(Error::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                self.core.ports.sockets.close(&connection).await?;
                self.close(&connection).await?;
                let held = Write::Delete { key: record.key.clone(), expect: Expect::Anything };
                self.core.ports.records.transact(vec![held]).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// A write of something that is of no use once the connection must be closed.
    fn kept(&self, key: cloud::RecordKey, value: Value, expect: Expect) -> Write {
        let expires = Some(self.core.ports.clock.now().plus(SOCKET_LIFE_MAX + Duration::from_secs(600)));
        Write::Put { key, value, expect, expires }
    }

    /// Forgets a connection with all it followed, and tells who was with it that it has left. May be called again.
    pub async fn close(&self, connection: &ConnectionId) -> Result<()> {
        let left = self.forget(connection).await?;
        self.announce(left).await
    }

    /// Forgets a connection; the answer is the projects where its person was.
    async fn forget(&self, connection: &ConnectionId) -> Result<Vec<ProjectId>> {
        let mut left = Vec::new();
        for record in self.of_connection(connection, "").await? {
            let mut writes = vec![Write::Delete { key: record.key.clone(), expect: Expect::Anything }];
            if let Some(project) = project_of(&record) {
                writes.push(Write::Delete { key: keys::subscriber(&project, &connection.0), expect: Expect::Anything });
                if self.leave(connection, &project).await? {
                    left.push(project);
                }
            }
            let opened = serde_json::from_value::<ConnectionRecord>(record.value);
            let principal = opened.ok().and_then(|opened| Principal::from_context(&opened.context).ok());
            let account = principal.as_ref().map(|principal| principal.account.as_str());
            for holder in principal.as_ref().and_then(holder).into_iter().chain(account) {
                let key = keys::held_connection(holder, &connection.0);
                writes.push(Write::Delete { key, expect: Expect::Anything });
            }
            self.core.ports.records.transact(writes).await?;
        }
        Ok(left)
    }

    async fn of_connection(&self, connection: &ConnectionId, prefix: &str) -> Result<Vec<Record>> {
        let range = RangeQuery {
            partition: keys::connection_partition(&connection.0),
            prefix: prefix.into(),
            limit: 200,
            ..RangeQuery::default()
        };
        Ok(self.core.ports.records.query(range).await?.records)
    }

    /// Who is at the other end; `Error::NotFound` when the connection is not open, or the session or token that opened
    /// it has ended, or its account is disabled.
    pub async fn caller(&self, connection: &ConnectionId) -> Result<Caller> {
        let stored = self.core.read::<ConnectionRecord>(&keys::connection(&connection.0)).await?;
        let context = stored.ok_or(Error::NotFound("connection"))?.value.context;
        let principal = Principal::from_context(&context).map_err(|e| Error::internal("reading a connection", e))?;
        match self.core.identity.still_holds(&principal).await {
            Ok(true) => Ok(Caller::new(principal, format!("connection-{connection}"))),
            Ok(false) => Err(Error::NotFound("connection")),
            Err(error) => Err(Error::identity(error, "connection")),
        }
    }

    /// Follows a project's events from the sequence `after`, or from now. Sends what there is, in order, before it
    /// returns; from then on `deliver` sends.
    pub async fn subscribe(&self, connection: &ConnectionId, project: &str, after: Option<u64>) -> Result<Subscribed> {
        let caller = self.caller(connection).await?;
        let project = self.core.project(&caller, project, Permission::ReadProject).await?;
        self.refuse_too_many(connection, &project.id).await?;
        let (head, _) = Events::new(self.core.clone()).head(&project.id).await?;
        let after = after.unwrap_or(head);
        if after > head || head - after > REPLAY_MAX {
            return Err(Error::invalid_cursor());
        }
        let record = SubscriptionRecord {
            v: 1,
            connection: connection.clone(),
            account: caller.principal.account.clone(),
            phase: Phase::Replaying,
            delivered: after,
            since: self.core.ports.clock.now(),
        };
        let key = keys::subscriber(&project.id, &connection.0);
        let writes = vec![
            self.kept(key, json!(record), Expect::Anything),
            self.kept(keys::connection_project(&connection.0, &project.id), json!({}), Expect::Anything),
        ];
        let versions = self.core.ports.records.transact(writes).await?;
        let version = versions.into_iter().next().flatten().ok_or(Error::Unavailable("The store"))?;
        let told = json!({ "type": "subscribed", "project": project.id, "slug": project.slug, "after": after });
        self.post(connection, &told).await?;
        self.greet(connection, &project.id).await?;
        let sequence = self.replay(&project.id, record, version).await?;
        Ok(Subscribed { project: project.id, sequence })
    }

    async fn refuse_too_many(&self, connection: &ConnectionId, project: &ProjectId) -> Result<()> {
        let most = self.core.quotas.subscriptions_per_connection;
        let own = keys::connection_project(&connection.0, project);
        let others = self.of_connection(connection, "project#").await?.into_iter().filter(|r| r.key != own).count();
        if others >= most {
            return Err(Error::Quota(format!("A connection follows at most {most} projects.").into()));
        }
        Ok(())
    }

    /// Sends events until the newest is sent, then makes the subscription live. A newer subscription of the same
    /// connection ends it.
    async fn replay(&self, project: &ProjectId, mut record: SubscriptionRecord, version: Version) -> Result<u64> {
        let events = Events::new(self.core.clone());
        loop {
            let page = events.after(project, record.delivered, REPLAY_PAGE).await?;
            for event in &page {
                if self.post_bytes(&record.connection, event_message(event)).await? == Posted::Gone {
                    self.close(&record.connection).await?;
                    return Ok(record.delivered);
                }
                record.delivered = event.sequence;
            }
            if !page.is_empty() {
                continue;
            }
            let (head, head_version) = events.head(project).await?;
            if head > record.delivered {
                continue;
            }
            record.phase = Phase::Live;
            let key = keys::subscriber(project, &record.connection.0);
            let own = key.to_string();
            let writes = vec![
                Write::Check {
                    key: keys::event_head(project),
                    expect: head_version.map_or(Expect::Absent, Expect::At),
                },
                self.kept(key, json!(record), Expect::At(version.clone())),
            ];
            match self.core.ports.records.transact(writes).await {
                // Unsubscribed, or subscribed again, meanwhile.
                Err(cloud::Error::ConditionFailed { key, .. }) if key == own => return Ok(record.delivered),
                Err(error) if error.is_condition_failed() => {}
                Err(error) => return Err(error.into()),
                Ok(_) => return Ok(record.delivered),
            }
        }
    }

    /// Stops following a project; succeeds when it was not followed.
    pub async fn unsubscribe(&self, connection: &ConnectionId, project: &str) -> Result<()> {
        let caller = self.caller(connection).await?;
        let project = self.core.project(&caller, project, Permission::ReadProject).await?;
        if self.drop_subscription(connection, &project.id).await? {
            self.announce(vec![project.id]).await?;
        }
        Ok(())
    }

    /// Ends a subscription; whether the connection's person was there.
    async fn drop_subscription(&self, connection: &ConnectionId, project: &ProjectId) -> Result<bool> {
        let keys = [keys::subscriber(project, &connection.0), keys::connection_project(&connection.0, project)];
        let writes = keys.map(|key| Write::Delete { key, expect: Expect::Anything });
        self.core.ports.records.transact(writes.into()).await?;
        // After it: nobody says where they are without a subscription.
        self.leave(connection, project).await
    }

    /// Sends one message to a connection.
    pub async fn post(&self, connection: &ConnectionId, message: &Value) -> Result<Posted> {
        let text = message.to_string();
        if text.len() > SOCKET_MESSAGE_MAX {
            return Err(Error::TooLarge("A socket message has at most 128 KiB.".into()));
        }
        self.post_bytes(connection, Bytes::from(text)).await
    }

    /// A connection that does not keep up is closed. One whose message the gateway has no room for, because all of them
    /// together are too many, is tried again and stays open: whoever asked for the message asks again.
    async fn post_bytes(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        let sockets = &self.core.ports.sockets;
        let mut attempt = 1;
        loop {
            match tokio::time::timeout(POST_MAX, sockets.post(connection, message.clone())).await {
                Ok(Err(cloud::Error::Unavailable(_))) if attempt < POST_ATTEMPTS_MAX => {
                    self.pause(attempt).await;
                    attempt += 1;
                }
                // It does not read. Better a clean reconnect from its cursor than a growing buffer.
                Err(_) | Ok(Ok(Posted::Behind)) => {
                    if let Ok(closed) = tokio::time::timeout(POST_MAX, sockets.close(connection)).await {
                        closed?;
                    }
                    return Ok(Posted::Gone);
                }
                Ok(other) => return Ok(other?),
            }
        }
    }

    /// Waits a random time before the next attempt, so that those who collided do not collide again.
    async fn pause(&self, attempt: u32) {
        let mut random = [0; 2];
        self.core.ports.entropy.fill(&mut random);
        let most = POST_PAUSE_FIRST * 2u32.pow(attempt - 1);
        tokio::time::sleep(most.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))).await;
    }
}

/// What is sent of an event: all of it, or where it can be read when it is large.
fn event_message(event: &EventEnvelope) -> Bytes {
    let whole = json!({ "type": "event", "sequence": event.sequence, "event": event }).to_string();
    if whole.len() <= SOCKET_EVENT_MAX {
        return Bytes::from(whole);
    }
    let (project, href) = (&event.project, event.href());
    let pointer =
        json!({ "type": "event", "truncated": true, "project": project, "sequence": event.sequence, "href": href });
    Bytes::from(pointer.to_string())
}

/// The session or token that a principal stands on.
fn holder(principal: &Principal) -> Option<&str> {
    let session = principal.session.as_ref().map(|session| session.as_str());
    session.or(principal.token.as_ref().map(|token| token.as_str()))
}

fn project_of(record: &Record) -> Option<ProjectId> {
    ProjectId::parse(record.key.sort.strip_prefix("project#")?).ok()
}
