//! The `Stacks` port: functions over the Lambda Runtime API on this machine.
//!
//! A deploy makes a whole new version (functions, sources, files) beside the running one and then switches; the old
//! version ends when its last request does. What was deployed is kept, and comes back after a restart.
//!
//! **Invariant**: users' code runs in a sandbox or not at all, and a stack reaches only its own namespace.

mod calendar;
mod deploy;
mod discarded;
mod executor;
mod honoured;
mod naming;
mod package;
mod runtimes;
mod site;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cloud::{
    BlobKey, Blobs, Clock, Credentials, DeployStack, Entropy, Error, EventSink, Invocation, Invoke, PutOptions, Result,
    Stack, StackName, Stacks,
};
use sandbox::{Sandbox, Unavailable};
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::access_keys::{AccessKeys, Scope};
use crate::wire::DynamoDb;
use deploy::Deploy;
use executor::Host;
use naming::Naming;
use package::Packages;
use runtimes::Runtimes;
use sources::{Sources, Surroundings};

pub use discarded::Discarded;
pub use executor::Streamed;
pub use site::{Site, SiteFile};

/// Where deployed stacks are kept.
const BUCKET: &str = "workroom-stacks";
/// One kept stack: a template of at most 1 MB with its parameters (bytes).
const KEPT_MAX: usize = 4 * 1024 * 1024;

pub struct LocalStacksSettings {
    pub store: Store,
    /// The sandbox, or why users' code is not run.
    pub sandbox: std::result::Result<Sandbox, Unavailable>,
    /// Where the packages of `DeployStack` are.
    pub artifacts: Arc<dyn Blobs>,
    /// A folder for unpacked packages and the functions' /tmp.
    pub work: PathBuf,
    /// What follows a site's label: `localhost:4000`.
    pub site_host: String,
    /// The service endpoint: `http://127.0.0.1:4001`, its port, and its unix socket.
    pub endpoint: String,
    pub endpoint_port: u16,
    pub endpoint_socket: PathBuf,
    pub keys: AccessKeys,
    pub dynamodb: Option<DynamoDb>,
    /// Where interpreters are looked for, as PATH has it.
    pub search_path: String,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// The stacks of this machine. Cheap to clone.
#[derive(Clone)]
pub struct LocalStacks {
    inner: Arc<Inner>,
}

struct Inner {
    host: Arc<Host>,
    runtimes: Runtimes,
    packages: Packages,
    sites: Packages,
    dynamodb: Option<DynamoDb>,
    site_host: String,
    endpoint: String,
    running: RwLock<BTreeMap<StackName, Arc<Running>>>,
    /// One deploy or delete at a time; reading goes on.
    changing: tokio::sync::Mutex<()>,
}

/// The version of a stack that serves.
struct Running {
    kept: Kept,
    site: Arc<Site>,
    _sources: Sources,
}

/// What is kept of a stack.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    deployed: DeployStack,
    view: Stack,
    /// Counts the deploys: the number of a published version.
    serial: u64,
    /// A delete has begun.
    deleting: bool,
}

impl LocalStacks {
    /// Brings every kept stack back. A stack that cannot come back is logged and stays kept.
    pub async fn open(settings: LocalStacksSettings) -> Result<Self> {
        let folder = |name: &str| settings.work.join(name);
        let (clients, instances) = (folder("runtime"), folder("instances"));
        let failed = |error| Error::other(format!("making folders in `{}`", settings.work.display()), error);
        // Whatever is in there belongs to instances that are dead.
        let _ = std::fs::remove_dir_all(&instances);
        std::fs::create_dir_all(&instances).map_err(failed)?;
        let (path, place) = (settings.search_path, clients.clone());
        let runtimes = tokio::task::spawn_blocking(move || Runtimes::find(&path, &place))
            .await
            .map_err(|error| Error::other("looking for interpreters", error))?
            .map_err(failed)?;
        settings.store.ensure_bucket(BUCKET).await?;
        let host = Host {
            sandbox: settings.sandbox,
            store: settings.store,
            keys: settings.keys,
            clock: settings.clock,
            entropy: settings.entropy,
            aws_port: settings.endpoint_port,
            aws_socket: settings.endpoint_socket,
            clients,
            instances,
        };
        let stacks = Self {
            inner: Arc::new(Inner {
                host: Arc::new(host),
                runtimes,
                packages: Packages::new(folder("packages"), settings.artifacts.clone()),
                sites: Packages::new(folder("sites"), settings.artifacts),
                dynamodb: settings.dynamodb,
                site_host: settings.site_host,
                endpoint: settings.endpoint,
                running: RwLock::default(),
                changing: tokio::sync::Mutex::default(),
            }),
        };
        stacks.inner.restore().await?;
        Ok(stacks)
    }

    /// The site with this label (`dev--shop`), as it is now.
    pub fn site(&self, host_label: &str) -> Option<Arc<Site>> {
        self.inner.read().values().find(|running| running.site.host_label == host_label).map(|r| r.site.clone())
    }

    /// The site of a stack.
    pub fn site_of(&self, stack: &StackName) -> Option<Arc<Site>> {
        self.inner.read().get(stack).map(|running| running.site.clone())
    }
}

impl Inner {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<StackName, Arc<Running>>> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, name: &StackName, running: Option<Arc<Running>>) {
        let mut all = self.running.write().unwrap_or_else(PoisonError::into_inner);
        let old = match running {
            Some(running) => all.insert(name.clone(), running),
            None => all.remove(name),
        };
        // The old version is dropped outside of the lock: its idle instances end here.
        drop(all);
        drop(old);
    }

    fn naming(&self, what: &DeployStack) -> Naming {
        let site_host = format!("{}.{}", what.host_label, self.site_host);
        Naming::new(&what.name, self.host.keys.region(), &self.endpoint, &site_host)
    }

    fn kept(&self) -> crate::LocalBlobs {
        self.host.store.blobs(BUCKET)
    }

    async fn keep(&self, kept: &Kept) -> Result<()> {
        let name = &kept.deployed.name;
        let text = serde_json::to_vec(kept).map_err(|error| Error::other(format!("keeping stack `{name}`"), error))?;
        self.kept().put(&BlobKey::parse(name.as_str())?, text.into(), PutOptions::default()).await.map(drop)
    }

    async fn restore(&self) -> Result<()> {
        let mut after: Option<String> = None;
        let mut used = Vec::new();
        let mut all_back = true;
        loop {
            let page = self.kept().list("", after.as_deref(), 100).await?;
            for meta in page.blobs {
                let text = cloud::collect(self.kept().get(&meta.key, None).await?, KEPT_MAX).await?;
                let kept: Kept = serde_json::from_slice(&text)
                    .map_err(|error| Error::other(format!("reading stack `{}`", meta.key), error))?;
                let name = kept.deployed.name.clone();
                let back =
                    if kept.deleting { self.remove(&name).await } else { self.bring_back(kept, &mut used).await };
                if let Err(error) = back {
                    all_back = false;
                    tracing::error!(error = &error as &dyn std::error::Error, stack = %name, "a stack did not come back");
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if all_back {
            self.packages.sweep(&used);
            self.sites.sweep(&used);
        }
        Ok(())
    }

    async fn bring_back(&self, kept: Kept, used: &mut Vec<PathBuf>) -> Result<()> {
        let naming = self.naming(&kept.deployed);
        let deploy = Deploy {
            inner: self,
            what: &kept.deployed,
            naming: naming.clone(),
            serial: kept.serial,
            is_new: false,
            events: None,
        };
        let prepared = deploy.prepare().await?;
        used.extend(prepared.site.files.clone());
        for pool in prepared.site.pools.values() {
            used.push(pool.spec().package.clone());
            used.extend(pool.spec().layers.clone());
        }
        // The view is as it was deployed; interpreters may have changed since.
        let view = Stack { functions: prepared.view.functions, ..kept.view.clone() };
        self.start(Kept { view, ..kept }, prepared.site, naming);
        Ok(())
    }

    /// Switches to a version.
    fn start(&self, kept: Kept, site: Site, naming: Naming) {
        let name = kept.deployed.name.clone();
        let around = Surroundings {
            stack: name.clone(),
            store: self.host.store.clone(),
            dynamodb: self.dynamodb.clone(),
            clock: self.host.clock.clone(),
            entropy: self.host.entropy.clone(),
            naming,
            since: kept.view.updated,
        };
        let sources = Sources::start(&site.app, &site.pools, &around);
        self.replace(&name, Some(Arc::new(Running { kept, site: Arc::new(site), _sources: sources })));
    }

    /// Removes what a stack holds, then what is kept of it.
    async fn remove(&self, name: &StackName) -> Result<()> {
        self.replace(name, None);
        self.host.keys.revoke(name).await?;
        if let Some(dynamodb) = &self.dynamodb {
            dynamodb.remove(name).await?;
        }
        self.host.store.drop_namespace(&Scope::Stack(name.clone()).namespace()).await?;
        self.kept().delete(&BlobKey::parse(name.as_str())?).await
    }

    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        let _alone = self.changing.lock().await;
        let before = self.read().get(&what.name).map(|running| running.kept.clone());
        let same_label = self
            .read()
            .values()
            .any(|other| other.site.host_label == what.host_label && other.kept.deployed.name != what.name);
        if same_label {
            return Err(Error::Invalid(format!("`{}` is the site of another stack", what.host_label)));
        }
        let serial = before.as_ref().map_or(1, |kept| kept.serial + 1);
        let naming = self.naming(&what);
        let deploy = Deploy {
            inner: self,
            what: &what,
            naming: naming.clone(),
            serial,
            is_new: before.is_none(),
            events: Some(events),
        };
        let outcome = async {
            let prepared = deploy.prepare().await?;
            let kept = Kept { deployed: what.clone(), view: prepared.view.clone(), serial, deleting: false };
            self.keep(&kept).await?;
            self.start(kept, prepared.site, naming);
            Ok(prepared.view)
        };
        let outcome = outcome.await;
        deploy.tell_end(outcome.as_ref().err());
        outcome
    }
}

#[async_trait::async_trait]
impl Stacks for LocalStacks {
    async fn deploy(&self, what: DeployStack, events: EventSink) -> Result<Stack> {
        let inner = self.inner.clone();
        // A caller that goes away leaves no half-made version.
        let deploying = tokio::spawn(async move { inner.deploy(what, events).await });
        deploying.await.map_err(|error| Error::other("deploying", error))?
    }

    async fn describe(&self, name: &StackName) -> Result<Option<Stack>> {
        Ok(self.inner.read().get(name).map(|running| running.kept.view.clone()))
    }

    async fn invoke(&self, what: Invoke) -> Result<Invocation> {
        let site = self.site_of(&what.stack).ok_or_else(|| Error::NotFound(what.stack.to_string()))?;
        site.invoke(&what.function, what.payload).await
    }

    async fn delete(&self, name: &StackName) -> Result<()> {
        let _alone = self.inner.changing.lock().await;
        let kept = self.inner.read().get(name).map(|running| running.kept.clone());
        let Some(kept) = kept else { return Ok(()) };
        self.inner.keep(&Kept { deleting: true, ..kept }).await?;
        self.inner.remove(name).await
    }

    async fn credentials(&self, name: &StackName, ttl: Duration) -> Result<Credentials> {
        if self.inner.read().get(name).is_none() {
            return Err(Error::NotFound(name.to_string()));
        }
        Ok(self.inner.host.keys.issue(&Scope::Stack(name.clone()), ttl))
    }
}
