//! Delivery of committed events to live subscriptions.

use cloud::{Expect, Posted, RangeQuery, Record};
use futures::{StreamExt, TryStreamExt};
use identity::{AccountId, Permission, ProjectId};
use serde_json::json;

use super::{Connections, Phase, REPLAY_LIFE, REPLAY_PAGE, SubscriptionRecord};
use crate::events::{EventEnvelope, Events};
use crate::{Error, Result, keys};

/// Subscriptions that are served at the same time.
const PARALLEL: usize = 16;
const SUBSCRIBERS_PAGE: usize = 200;

impl Connections {
    /// For the consumer of the change feed: sends `event`, and before it whatever a subscription still lacks. Asked
    /// again with the same event it sends nothing that has been noted as sent.
    pub async fn deliver(&self, event: &EventEnvelope) -> Result<()> {
        let project = ProjectId::parse(event.project.as_str()).map_err(|e| Error::identity(e, "project"))?;
        let mut after = None;
        loop {
            let range = RangeQuery {
                partition: keys::subscribers(&project),
                after,
                limit: SUBSCRIBERS_PAGE,
                ..RangeQuery::default()
            };
            let page = self.core.ports.records.query(range).await?;
            let project = &project;
            futures::stream::iter(page.records)
                .map(|record| async move { self.deliver_to(project, record, event).await })
                .buffer_unordered(PARALLEL)
                .try_collect::<Vec<()>>()
                .await?;
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn deliver_to(&self, project: &ProjectId, stored: Record, event: &EventEnvelope) -> Result<()> {
        let mut record: SubscriptionRecord = crate::core::decode(&stored)?;
        let replaying =
            record.phase == Phase::Replaying && self.core.ports.clock.now().since(record.since) < REPLAY_LIFE;
        if replaying || record.delivered >= event.sequence {
            return Ok(());
        }
        if !self.may_follow(project, &record).await? {
            return self.end_subscription(project, &record).await;
        }
        if !self.send_up_to(project, &mut record, event).await? {
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
    async fn send_up_to(
        &self,
        project: &ProjectId,
        record: &mut SubscriptionRecord,
        event: &EventEnvelope,
    ) -> Result<bool> {
        let events = Events::new(self.core.clone());
        while record.delivered + 1 < event.sequence {
            let page = events.after(project, record.delivered, REPLAY_PAGE).await?;
            let missing: Vec<_> = page.iter().filter(|e| e.sequence < event.sequence).collect();
            if missing.is_empty() {
                break;
            }
            for one in missing {
                if self.post_event(&record.connection, one).await? == Posted::Gone {
                    return Ok(false);
                }
                record.delivered = one.sequence;
            }
        }
        let posted = self.post_event(&record.connection, event).await?;
        record.delivered = event.sequence;
        Ok(posted == Posted::Sent)
    }

    async fn may_follow(&self, project: &ProjectId, record: &SubscriptionRecord) -> Result<bool> {
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

    async fn end_subscription(&self, project: &ProjectId, record: &SubscriptionRecord) -> Result<()> {
        self.drop_subscription(&record.connection, project).await?;
        let told =
            json!({ "type": "unsubscribed", "project": project, "reason": "You may no longer see this project." });
        if self.post(&record.connection, &told).await? == Posted::Gone {
            self.close(&record.connection).await?;
        }
        Ok(())
    }

    /// Ends every subscription that an account has to a project.
    pub async fn drop_member(&self, project: &ProjectId, account: &AccountId) -> Result<()> {
        let mut after = None;
        loop {
            let range = RangeQuery {
                partition: keys::subscribers(project),
                after,
                limit: SUBSCRIBERS_PAGE,
                ..RangeQuery::default()
            };
            let page = self.core.ports.records.query(range).await?;
            for stored in &page.records {
                let record: SubscriptionRecord = crate::core::decode(stored)?;
                if record.account == *account {
                    self.end_subscription(project, &record).await?;
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}
