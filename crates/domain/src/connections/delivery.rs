//! Delivery of committed events to live subscriptions.

use bytes::Bytes;
use cloud::{ConnectionId, Expect, Posted, RangeQuery, Record};
use futures::stream::{self, Stream};
use futures::{StreamExt, TryStreamExt};
use identity::{Permission, ProjectId};
use serde_json::json;

use super::{Connections, Phase, REPLAY_LIFE, REPLAY_PAGE, SubscriptionRecord, event_message};
use crate::events::{EventEnvelope, Events};
use crate::{Error, Result, keys};

/// Connections that are sent to at the same time.
pub const DELIVERIES_AT_ONCE: usize = 16;
/// Subscriptions in one page; so many are in memory at a time, and no more.
const SUBSCRIBERS_PAGE: usize = 200;

impl Connections {
    /// For the consumer of the change feed: sends `event`, and before it whatever a subscription still lacks. Asked
    /// again with the same event it sends nothing that has been noted as sent. A connection that fails or is slow holds
    /// up no other; when all were served the first failure is told.
    pub async fn deliver(&self, event: &EventEnvelope) -> Result<()> {
        let project = &ProjectId::parse(event.project.as_str()).map_err(|e| Error::identity(e, "project"))?;
        let told = &Told { event, message: event_message(event) };
        let served = self.subscribers(project).map(|record| async move {
            match record {
                Ok(record) => self.deliver_to(project, record, told).await,
                Err(error) => Err(error),
            }
        });
        let mut failed = Ok(());
        let mut served = std::pin::pin!(served.buffer_unordered(DELIVERIES_AT_ONCE));
        while let Some(outcome) = served.next().await {
            failed = failed.and(outcome);
        }
        failed
    }

    /// Everyone who follows the project, a page at a time.
    pub(super) fn subscribers<'a>(&'a self, project: &'a ProjectId) -> impl Stream<Item = Result<Record>> + 'a {
        let pages = stream::try_unfold(Some(None::<String>), move |place| async move {
            let Some(after) = place else { return Ok::<_, Error>(None) };
            let partition = keys::subscribers(project);
            let range = RangeQuery { partition, after, limit: SUBSCRIBERS_PAGE, ..RangeQuery::default() };
            let page = self.core.ports.records.query(range).await?;
            Ok(Some((stream::iter(page.records.into_iter().map(Ok)), page.next.map(Some))))
        });
        pages.try_flatten()
    }

    async fn deliver_to(&self, project: &ProjectId, stored: Record, told: &Told<'_>) -> Result<()> {
        let mut record: SubscriptionRecord = crate::core::decode(&stored)?;
        let replaying =
            record.phase == Phase::Replaying && self.core.ports.clock.now().since(record.since) < REPLAY_LIFE;
        if replaying || record.delivered >= told.event.sequence {
            return Ok(());
        }
        if !self.may_follow(project, &record).await? {
            let left = self.shut_out(project, &record.connection).await?;
            return self.announce(left).await;
        }
        if !self.send_up_to(project, &mut record, told).await? {
            return self.close(&record.connection).await;
        }
        record.phase = Phase::Live;
        let write = self.kept(stored.key, json!(record), Expect::At(stored.version));
        match self.core.ports.records.transact(vec![write]).await {
            // Another delivery, a new subscription or the end of this one came first.
            Err(error) if !error.is_condition_failed() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Sends what lies between `delivered` and the event, then the event; `false` when the connection is gone.
    async fn send_up_to(&self, project: &ProjectId, record: &mut SubscriptionRecord, told: &Told<'_>) -> Result<bool> {
        let event = told.event;
        let events = Events::new(self.core.clone());
        while record.delivered + 1 < event.sequence {
            let page = events.after(project, record.delivered, REPLAY_PAGE).await?;
            let missing: Vec<_> = page.iter().filter(|e| e.sequence < event.sequence).collect();
            if missing.is_empty() {
                break;
            }
            for one in missing {
                if self.post_bytes(&record.connection, event_message(one)).await? == Posted::Gone {
                    return Ok(false);
                }
                record.delivered = one.sequence;
            }
        }
        let posted = self.post_bytes(&record.connection, told.message.clone()).await?;
        record.delivered = event.sequence;
        Ok(posted == Posted::Sent)
    }

    pub(super) async fn may_follow(&self, project: &ProjectId, record: &SubscriptionRecord) -> Result<bool> {
        let caller = match self.caller(&record.connection).await {
            Err(Error::NotFound(_)) => return Ok(false),
            other => other?,
        };
        match self.core.project(&caller, project.as_str(), Permission::ReadProject).await {
            Err(Error::NotFound(_) | Error::Forbidden(_)) => Ok(false),
            Err(error) => Err(error),
            Ok(_) => Ok(true),
        }
    }

    /// Ends the subscription of who may no longer see the project; the answer is the projects that they have left.
    pub(super) async fn shut_out(&self, project: &ProjectId, connection: &ConnectionId) -> Result<Vec<ProjectId>> {
        let mut left = Vec::new();
        if self.drop_subscription(connection, project).await? {
            left.push(project.clone());
        }
        let told =
            json!({ "type": "unsubscribed", "project": project, "reason": "You may no longer see this project." });
        if self.post(connection, &told).await? == Posted::Gone {
            left.extend(self.forget(connection).await?);
        }
        Ok(left)
    }
}

/// An event and the one text of it that goes to everyone.
struct Told<'a> {
    event: &'a EventEnvelope,
    message: Bytes,
}
