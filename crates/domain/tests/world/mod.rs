//! A whole platform in memory, without its doors.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod ports;

use std::path::Path;
use std::sync::Arc;

use cloud::{BlobKey, Blobs, Clock, DeployStack, Entropy, Logs, Ports, PutOptions, Records, StackName, SystemEntropy};
use domain::{
    Artifact, ArtifactKind, Build, Caller, Domain, DomainSettings, EnvironmentName, Job, Lease, NewProject, Outcome,
    Project, Publish, Quotas, Started, StarterSource,
};
use git_store::{GitStore, GitStoreSettings};
use identity::{
    Account, Channel, EmailAddress, Identity, IdentitySettings, NewAccount, Password, PersonName, Principal, Role,
    Scopes,
};
use testkit::SimClock;
use testkit::memory::{MemoryParameters, MemoryRecords};

use ports::{Gate, GatedRecords, MemoryBlobs, MemoryBus, MemoryLogs, MemoryQueue, MemorySockets, MemoryStacks};

pub const PASSWORD: &str = "correct horse battery staple";

pub struct World {
    pub domain: Arc<Domain>,
    pub identity: Arc<Identity>,
    pub records: MemoryRecords,
    pub clock: Arc<SimClock>,
    pub entropy: Arc<dyn Entropy>,
    pub blobs: Arc<MemoryBlobs>,
    pub jobs: Arc<MemoryQueue>,
    pub tails: Arc<MemoryQueue>,
    pub sockets: Arc<MemorySockets>,
    pub logs: Arc<MemoryLogs>,
    pub stack_logs: Arc<MemoryLogs>,
    pub stacks: Arc<MemoryStacks>,
    pub bus: Arc<MemoryBus>,
    pub git: GitStore,
    pub gate: Arc<Gate>,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(Quotas::default())
    }

    pub fn with(quotas: Quotas) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_starter(&folder.path().join("starters/plain"));
        let clock = Arc::new(SimClock::default());
        let records = MemoryRecords::new(clock.clone());
        let gate = Arc::new(Gate::default());
        let shared: Arc<dyn Records> = Arc::new(GatedRecords { inner: Arc::new(records.clone()), gate: gate.clone() });
        let parameters = Arc::new(MemoryParameters::new(clock.clone()));
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let identity = Arc::new(Identity::new(IdentitySettings {
            records: shared.clone(),
            parameters: parameters.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            issuer: "workroom-dev".into(),
            audience: "workroom-api".into(),
        }));
        let blobs = Arc::new(MemoryBlobs::default());
        let git = GitStore::new(GitStoreSettings {
            blobs: blobs.clone(),
            records: shared.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            cache: folder.path().join("cache"),
            cache_bytes_max: 64 * 1024 * 1024,
        })
        .unwrap();
        let (jobs, tails) = (Arc::new(MemoryQueue::default()), Arc::new(MemoryQueue::default()));
        let sockets = Arc::new(MemorySockets::default());
        let (logs, stack_logs) = (Arc::new(MemoryLogs::default()), Arc::new(MemoryLogs::default()));
        let stacks = Arc::new(MemoryStacks::default());
        let bus = Arc::new(MemoryBus::default());
        let of_stacks = stack_logs.clone();
        let ports = Ports {
            records: shared,
            blobs: blobs.clone(),
            jobs_queue: jobs.clone(),
            tail_queue: tails.clone(),
            sockets: sockets.clone(),
            logs: logs.clone(),
            stack_logs: Arc::new(move |_: &StackName| -> Arc<dyn Logs> { of_stacks.clone() }),
            parameters,
            stacks: stacks.clone(),
            bus: Some(bus.clone()),
            clock: clock.clone(),
            entropy: entropy.clone(),
        };
        let domain = Arc::new(Domain::new(DomainSettings {
            ports,
            git: git.clone(),
            identity: identity.clone(),
            starters: StarterSource::Folder(folder.path().join("starters")),
            quotas,
        }));
        Self {
            domain,
            identity,
            records,
            clock,
            entropy,
            blobs,
            jobs,
            tails,
            sockets,
            logs,
            stack_logs,
            stacks,
            bus,
            git,
            gate,
            _folder: folder,
        }
    }

    pub async fn account(&self, name: &str) -> Account {
        let new = NewAccount {
            email: EmailAddress::parse(&format!("{name}@example.com")).unwrap(),
            name: PersonName::parse(name).unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
            admin: false,
        };
        self.identity.accounts().create(new).await.unwrap()
    }

    /// A new person, signed in.
    pub async fn person(&self, name: &str) -> Caller {
        let account = self.account(name).await;
        Caller::new(self.principal(&account), format!("correlation-of-{name}"))
    }

    pub fn principal(&self, account: &Account) -> Principal {
        Principal {
            account: account.id.clone(),
            email: account.email.clone(),
            name: account.name.clone(),
            admin: account.admin,
            channel: Channel::Bearer,
            scopes: Scopes::all(),
            project: None,
            session: None,
            token: None,
        }
    }

    /// A project from the starter, owned by the caller.
    pub async fn project(&self, caller: &Caller, slug: &str) -> Project {
        let new =
            NewProject { name: slug.into(), slug: slug.into(), starter: Some("plain".into()), ..NewProject::default() };
        self.domain.projects.create(caller, new).await.unwrap()
    }

    /// A new person with a role in the project.
    pub async fn member(&self, owner: &Caller, project: &Project, name: &str, role: Role) -> Caller {
        let person = self.person(name).await;
        let account = person.principal.account.as_str();
        let slug = project.slug.as_str();
        self.domain.members.set(owner, slug, account, role, &domain::Expected::Unsaid).await.unwrap();
        person
    }

    /// Where a branch points.
    pub async fn head(&self, caller: &Caller, project: &Project, branch: &str) -> String {
        self.domain.repository.commit(caller, project.slug.as_str(), branch).await.unwrap().oid.to_string()
    }

    /// Takes a queued job as a worker does.
    pub async fn start(&self, job: &Job) -> Lease {
        match self.domain.jobs.start(&job.project, &job.id).await.unwrap() {
            Started::Run(_, lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// Runs a build and a deploy of a project's default branch to an environment, without building anything.
    pub async fn deploy(&self, caller: &Caller, project: &Project, environment: &str) -> Job {
        let slug = project.slug.as_str();
        let publish = Publish::Reference("main".into());
        let job = self.domain.environments.publish(caller, slug, environment, publish).await.unwrap();
        let lease = self.start(&job).await;
        let name = EnvironmentName::parse(environment).unwrap();
        let commit = job.commit.clone().unwrap();
        let artifact = self.artifact(project).await;
        let build = Build { artifacts: vec![artifact.clone()], ..Build::default() };
        self.domain.releases.remember_build(&lease, &commit, &build).await.unwrap();
        let release = self.domain.releases.create(&lease, &commit, &lease.job, vec![artifact], 0).await.unwrap();
        let target = self.domain.environments.target(&lease, &name).await.unwrap();
        let what = DeployStack {
            name: target.stack,
            host_label: target.host_label,
            release: release.id.to_string(),
            template: serde_json::json!({}),
            parameters: Default::default(),
            tags: Default::default(),
            packages: Default::default(),
            site: None,
            run: Default::default(),
        };
        let (events, _) = futures::channel::mpsc::unbounded();
        let stack = target.stacks.deploy(what, events).await.unwrap();
        let result = serde_json::json!({ "url": stack.url });
        self.domain.environments.set_release(&lease, &name, &release.id, &stack, result).await.unwrap()
    }

    pub async fn artifact(&self, project: &Project) -> Artifact {
        let bytes = bytes::Bytes::from_static(b"zip");
        let sha256 = cloud::Sha256Digest::of(&bytes);
        let key = domain::artifact_key(&project.id, sha256).unwrap();
        self.blobs.put(&key, bytes, PutOptions::default()).await.unwrap();
        Artifact { name: "Hello".into(), kind: ArtifactKind::Function, sha256, length: 3 }
    }

    /// Ends a job well.
    pub async fn succeed(&self, lease: &Lease) -> Job {
        let outcome = Outcome::Succeeded { result: serde_json::json!({ "done": true }) };
        self.domain.jobs.finish(lease, outcome).await.unwrap()
    }

    /// Puts bytes where an upload expects them.
    pub async fn arrive(&self, project: &Project, upload: &domain::FileId, bytes: &'static [u8]) {
        let key = BlobKey::parse(format!("projects/{}/files/{upload}", project.id)).unwrap();
        self.blobs.put(&key, bytes.into(), PutOptions::default()).await.unwrap();
    }

    pub fn now(&self) -> cloud::Millis {
        self.clock.now()
    }
}

fn write_starter(folder: &Path) {
    std::fs::create_dir_all(folder.join("events")).unwrap();
    std::fs::write(folder.join("README.md"), "# A plain app\n").unwrap();
    std::fs::write(folder.join("template.yaml"), "Resources: {}\n").unwrap();
    std::fs::write(folder.join("events/hello.json"), "{\"name\": \"Ada\"}\n").unwrap();
}
