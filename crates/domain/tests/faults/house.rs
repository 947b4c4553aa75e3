//! A platform whose calls fail when they are told to, and a sound one over the same stores.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use cloud::{BlobKey, Blobs, Logs, Ports, PutOptions, Queue, Records, StackName};
use domain::{
    Caller, Domain, DomainSettings, Error, Job, JobState, NewProject, PageQuery, Project, Quotas, Result, StarterSource,
};
use git_store::{GitStore, GitStoreSettings};
use identity::{Identity, IdentitySettings};
use serde_json::Value;
use testkit::memory::MemoryParameters;
use testkit::{Fault, FaultyCloud};

use crate::world::World;

/// More calls than any operation makes.
const CALLS_MAX: u64 = 120;

pub struct House {
    /// A process whose calls all work.
    pub world: World,
    pub cloud: FaultyCloud,
    /// A process over the same stores, each of its calls through the plan of `cloud`.
    pub shaky: Domain,
    pub ada: Caller,
    _cache: tempfile::TempDir,
}

impl House {
    async fn new() -> Self {
        let world = World::new();
        for (path, text) in [("README.md", "# A plain app\n"), ("template.yaml", "Resources: {}\n")] {
            let key = BlobKey::parse(format!("starters/plain/{path}")).unwrap();
            world.blobs.put(&key, text.into(), PutOptions::default()).await.unwrap();
        }
        let (cloud, cache) = (FaultyCloud::new(), tempfile::tempdir().unwrap());
        let shaky = shaky(&world, &cloud, cache.path());
        let ada = world.person("ada").await;
        Self { world, cloud, shaky, ada, _cache: cache }
    }

    /// What the project's journal tells, after a look at whether it is whole.
    pub fn told(&self, project: &Project) -> Vec<String> {
        self.events(project).iter().map(|event| text(&event["type"])).collect()
    }

    /// The project's events in order: without a gap, each with the audit entry that belongs to it and no other.
    pub fn events(&self, project: &Project) -> Vec<Value> {
        let stored = self.world.records.dump();
        let partition = format!("project#{}", project.id);
        let of = |prefix: &str| -> Vec<Value> {
            let own = stored.iter().filter(|r| r.key.partition == partition && r.key.sort.starts_with(prefix));
            own.map(|record| record.value.clone()).collect()
        };
        let (events, mut audits) = (of("event#"), of("audit#"));
        let head = of("event-head").first().map_or(0, |head| head["sequence"].as_u64().unwrap());
        let sequences: Vec<u64> = events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=head).collect::<Vec<u64>>(), "the journal has no gap");
        for event in &events {
            let (own, others) = audits.into_iter().partition(|audit: &Value| audit["id"] == event["id"]);
            audits = others;
            let own: Vec<Value> = own;
            assert_eq!(own.len(), usize::from(is_audited(event)), "the audit entry of {event}");
            assert!(own.iter().all(|a| a["action"] == event["type"] && a["resource"] == event["resource"]));
        }
        assert!(audits.is_empty(), "audit entries of nothing that happened: {audits:?}");
        events
    }

    /// The final states that the journal tells of a job.
    pub fn ends(&self, project: &Project, job: &Job) -> Vec<String> {
        let resource = format!("job/{}", job.id);
        let own = self.events(project).into_iter().filter(|e| e["resource"] == resource.as_str());
        own.map(|event| text(&event["detail"]["state"])).filter(|state| is_final(state)).collect()
    }

    pub async fn job(&self, job: &Job) -> Job {
        self.world.domain.jobs.find(&job.project, &job.id).await.unwrap()
    }

    /// The jobs of a project, and how many of all jobs are noted as open.
    pub async fn jobs(&self, project: &Project) -> (Vec<Job>, usize) {
        let page = PageQuery::default();
        let jobs = self.world.domain.jobs.list(&self.ada, project.slug.as_str(), &page).await.unwrap().items;
        (jobs, self.world.records.dump().iter().filter(|r| r.key.partition == "open-jobs").count())
    }

    /// The job has ended as `state`, once, and is no longer open.
    pub async fn has_ended(&self, project: &Project, job: &Job, state: JobState) {
        let (jobs, open) = self.jobs(project).await;
        assert_eq!(jobs.len(), 1);
        assert_eq!((self.job(job).await.state, open), (state, 0));
        assert_eq!(self.ends(project, job), [state.as_str()]);
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn is_final(state: &str) -> bool {
    !matches!(state, "queued" | "running")
}

fn is_audited(event: &Value) -> bool {
    match event["type"].as_str().unwrap() {
        "draft.saved" | "upload.created" => false,
        "job.updated" => is_final(event["detail"]["state"].as_str().unwrap()),
        _ => true,
    }
}

fn shaky(world: &World, cloud: &FaultyCloud, cache: &std::path::Path) -> Domain {
    let records: Arc<dyn Records> = Arc::new(cloud.records(Arc::new(world.records.clone())));
    let blobs: Arc<dyn Blobs> = Arc::new(cloud.blobs(world.blobs.clone()));
    let parameters = Arc::new(cloud.parameters(Arc::new(MemoryParameters::new(world.clock.clone()))));
    let queue = |inner: Arc<dyn Queue>| -> Arc<dyn Queue> { Arc::new(cloud.queue(inner)) };
    let identity = Arc::new(Identity::new(IdentitySettings {
        records: records.clone(),
        parameters: parameters.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        issuer: "workroom-dev".into(),
        audience: "workroom-api".into(),
    }));
    let git = GitStore::new(GitStoreSettings {
        blobs: blobs.clone(),
        records: records.clone(),
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
        cache: cache.into(),
        cache_bytes_max: 64 * 1024 * 1024,
    });
    let of_stacks: Arc<dyn Logs> = Arc::new(cloud.logs(world.stack_logs.clone()));
    let ports = Ports {
        records,
        blobs,
        jobs_queue: queue(world.jobs.clone()),
        tail_queue: queue(world.tails.clone()),
        sockets: Arc::new(cloud.sockets(world.sockets.clone())),
        logs: Arc::new(cloud.logs(world.logs.clone())),
        stack_logs: Arc::new(move |_: &StackName| of_stacks.clone()),
        parameters,
        stacks: Arc::new(cloud.stacks(world.stacks.clone())),
        bus: None,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    };
    let (starters, quotas) = (StarterSource::Blobs, Quotas::default());
    Domain::new(DomainSettings { ports, git: git.unwrap(), identity, starters, quotas })
}

/// One run of an operation with one fault in it.
pub struct Trial<'a> {
    house: &'a House,
    fault: Fault,
    nth: u64,
    /// The call that the fault met.
    met: Cell<Option<&'static str>>,
}

impl Deref for Trial<'_> {
    type Target = House;

    fn deref(&self) -> &House {
        self.house
    }
}

impl Trial<'_> {
    /// The operation under test, on `shaky`. A fault is heard as "unavailable, try again" and as nothing else: `None`.
    /// A call done twice is not heard at all.
    pub async fn strike<T>(&self, operation: impl Future<Output = Result<T>>) -> Option<T> {
        let before = self.cloud.count();
        self.cloud.at(self.nth, self.fault);
        let answer = operation.await;
        let made = self.cloud.count() - before;
        self.cloud.heal();
        if made >= self.nth {
            let call = self.cloud.calls()[usize::try_from(before + self.nth - 1).unwrap()];
            self.met.set(Some(call));
        }
        match answer {
            Ok(done) => Some(done),
            Err(Error::Unavailable(_)) if self.met.get().is_some() && self.fault != Fault::Repeat => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub fn name(&self) -> String {
        format!("p{}", self.nth)
    }

    /// A project of Ada's with one commit.
    pub async fn project(&self) -> Project {
        self.world.project(&self.ada, &self.name()).await
    }

    /// A project of Ada's without a commit.
    pub async fn empty_project(&self) -> Project {
        let new = NewProject { name: self.name(), slug: self.name(), ..NewProject::default() };
        self.world.domain.projects.create(&self.ada, new).await.unwrap()
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with {:?} at call {}: {:?}", self.fault, self.nth, self.met.get());
        }
    }
}

/// Runs `trial` with each kind of fault at each call, until its operation makes no more calls.
pub async fn at_every_call(trial: impl AsyncFn(&Trial<'_>)) {
    for fault in [Fault::Before, Fault::After, Fault::Repeat] {
        let house = House::new().await;
        for nth in 1.. {
            assert!(nth < CALLS_MAX, "the operation comes to no end");
            let at = Trial { house: &house, fault, nth, met: Cell::new(None) };
            trial(&at).await;
            if at.met.get().is_none() {
                assert!(nth > 1, "the operation made no call");
                break;
            }
        }
    }
}
