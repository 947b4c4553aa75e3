//! A project that very many connections follow, without holding any of them.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloud::{
    ConnectionId, Logs, Ports, Posted, RangeQuery, Record, RecordKey, RecordPage, Records, Result, Sockets, StackName,
    Version, Write,
};
use domain::{Domain, DomainSettings, EventEnvelope, Project, Quotas, StarterSource};
use identity::Principal;
use serde_json::{Value, json};
use testkit::memory::MemoryParameters;
use tokio::sync::Notify;

use crate::world::World;

/// Subscriptions that are made up when they are asked for, so that the test holds none of them.
pub struct Herd {
    inner: Arc<dyn Records>,
    project: String,
    principal: Principal,
    count: usize,
    delivered: u64,
    /// Subscriptions that were noted as served.
    pub noted: AtomicUsize,
    removed: Mutex<BTreeSet<RecordKey>>,
}

pub fn name(number: usize) -> String {
    format!("c{number:06}")
}

impl Herd {
    fn record(key: RecordKey, value: Value) -> Record {
        Record { key, value, version: Version("v1".into()), expires: None }
    }

    pub fn subscription(&self, partition: &str, number: usize) -> Record {
        let value = json!({
            "v": 1, "connection": name(number), "account": self.principal.account, "phase": "live",
            "delivered": self.delivered, "since": 0,
        });
        Self::record(RecordKey::new(partition, name(number)), value)
    }
}

#[async_trait::async_trait]
impl Records for Herd {
    async fn get(&self, key: &RecordKey) -> Result<Option<Record>> {
        if !key.partition.starts_with("connection#") {
            return self.inner.get(key).await;
        }
        let value = json!({ "v": 1, "context": self.principal.to_context(), "opened": 0 });
        Ok(Some(Self::record(key.clone(), value)))
    }

    async fn query(&self, query: RangeQuery) -> Result<RecordPage> {
        if query.partition != format!("subscribers#{}", self.project) {
            return self.inner.query(query).await;
        }
        tokio::task::yield_now().await;
        let first = query.after.map_or(0, |after| after[1..].parse::<usize>().unwrap() + 1);
        let end = self.count.min(first + query.limit);
        let records: Vec<_> = (first..end).map(|number| self.subscription(&query.partition, number)).collect();
        Ok(RecordPage { records, next: (end < self.count).then(|| name(end - 1)) })
    }

    async fn transact(&self, writes: Vec<Write>) -> Result<Vec<Option<Version>>> {
        for write in &writes {
            match write {
                Write::Delete { key, .. } => drop(self.removed.lock().unwrap().insert(key.clone())),
                Write::Put { .. } => drop(self.noted.fetch_add(1, Ordering::SeqCst)),
                Write::Check { .. } => {}
            }
        }
        Ok(writes.iter().map(|_| Some(Version("v2".into()))).collect())
    }
}

/// Counts what it is given; some connections are special.
#[derive(Default)]
pub struct Crowd {
    pub sent: AtomicUsize,
    pub bytes: AtomicUsize,
    pub now: AtomicUsize,
    pub most: AtomicUsize,
    pub gone: BTreeSet<String>,
    pub broken: BTreeSet<String>,
    pub stuck: BTreeSet<String>,
    pub released: Notify,
    pub last: Mutex<Option<Bytes>>,
}

#[async_trait::async_trait]
impl Sockets for Crowd {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        if self.stuck.contains(&connection.0) {
            self.released.notified().await;
        }
        tokio::task::yield_now().await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if self.gone.contains(&connection.0) {
            return Ok(Posted::Gone);
        }
        if self.broken.contains(&connection.0) {
            return Err(cloud::Error::Unclear("posting".into()));
        }
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.bytes.fetch_add(message.len(), Ordering::SeqCst);
        *self.last.lock().unwrap() = Some(message);
        Ok(Posted::Sent)
    }

    async fn close(&self, _: &ConnectionId) -> Result<()> {
        Ok(())
    }
}

pub struct Scene {
    pub world: World,
    pub domain: Domain,
    pub herd: Arc<Herd>,
    pub crowd: Arc<Crowd>,
    pub event: EventEnvelope,
}

/// A project that `count` connections follow, and an event that none of them has.
pub async fn scene(count: usize, crowd: Crowd, detail: Value) -> Scene {
    let world = World::new();
    let ada = world.person("ada").await;
    let project: Project = world.project(&ada, "shop").await;
    let mut event = world.domain.events.after(&project.id, 0, 1).await.unwrap().remove(0);
    event.sequence = 8;
    event.detail = detail;
    let herd = Arc::new(Herd {
        inner: Arc::new(world.records.clone()),
        project: project.id.to_string(),
        principal: ada.principal.clone(),
        count,
        delivered: 7,
        noted: AtomicUsize::new(0),
        removed: Mutex::default(),
    });
    let crowd = Arc::new(crowd);
    let stack_logs = world.stack_logs.clone();
    let ports = Ports {
        records: herd.clone(),
        blobs: world.blobs.clone(),
        jobs_queue: world.jobs.clone(),
        tail_queue: world.tails.clone(),
        sockets: crowd.clone(),
        logs: world.logs.clone(),
        stack_logs: Arc::new(move |_: &StackName| -> Arc<dyn Logs> { stack_logs.clone() }),
        parameters: Arc::new(MemoryParameters::new(world.clock.clone())),
        stacks: world.stacks.clone(),
        bus: None,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    };
    let domain = Domain::new(DomainSettings {
        ports,
        git: world.git.clone(),
        identity: world.identity.clone(),
        starters: StarterSource::Blobs,
        quotas: Quotas::default(),
    });
    Scene { world, domain, herd, crowd, event }
}
