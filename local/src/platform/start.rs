//! Start and stop of the whole.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use build_worker::build::{self, Build, Builder, BuilderSettings};
use build_worker::{ImportSettings, Worker};
use cloud::{Blobs, Clock, Entropy, Grants, Logs, Ports, StackName, Stacks, SystemClock, SystemEntropy};
use cloud_local::access_keys::{AccessKeys, AccessKeysSettings, Scope};
use cloud_local::wire::{self, DynamoDb, DynamoDbSettings, Emulator, WireSettings};
use cloud_local::{LocalStacks, LocalStacksSettings, Presigner, Store, StoreSettings};
use domain::StarterSource;
use function::{App, Assembly, Places};
use identity::{EmailAddress, Password};
use sam::{ApiKind, Target};
use sandbox::{Sandbox, SandboxSettings, Tools};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::hosting::StackHosts;
use super::mount::mount;
use super::synchronise;
use super::template::{Addresses, Resolved};
use super::wiring::Sources;
use crate::config::Config;
use crate::events::{ApiIdentity, SocketApi};
use crate::front::{Front, SOCKET_PATH};
use crate::functions::Functions;
use crate::gateway::{ApiGateway, ApiSettings, Buckets};
use crate::http::{ServerLimits, serve};
use crate::sites::{Account, Sites};
use crate::socket::{Hub, SocketLimits, SocketServer, SocketSettings};

/// Packs kept unpacked on disk (bytes).
const PACK_CACHE_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// A job ends this long before its function does.
const JOB_MARGIN: Duration = Duration::from_secs(30);
/// How long `$disconnect`s and sources may take at shutdown.
const STOP_MAX: Duration = Duration::from_secs(5);

/// The running platform.
pub struct Platform {
    pub address: SocketAddr,
    pub endpoint: SocketAddr,
    pub data: PathBuf,
    /// The layers that hold users' code, or why it is not run.
    pub sandbox: Result<Vec<String>, String>,
    /// Layers that this machine does not have.
    pub missing: Vec<String>,
    /// The first admin's address and password, when this start made it.
    pub admin: Option<(String, String)>,
    /// The id of the key for access tokens that this start made because it was told to.
    pub signing_key: Option<String>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    sockets: SocketServer,
    dynamodb: DynamoDb,
}

impl Platform {
    /// Starts everything; when this returns, requests are answered.
    pub async fn start(config: Config) -> Result<Self> {
        let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let store = Store::open(StoreSettings {
            data: config.data.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
        })?;
        let data = config.data.canonicalize().context("the data folder has no full path")?;
        let (gateway, services) = listen(config.port).await?;
        let (address, endpoint) = (gateway.local_addr()?, services.local_addr()?);
        let addresses = Addresses {
            public: format!("http://{address}"),
            socket: format!("ws://{address}{SOCKET_PATH}"),
            endpoint: format!("http://{endpoint}"),
        };
        let resolved = Resolved::read(&config.template, addresses.clone(), &config.region)?;
        let ground = Ground { config, data, store, clock, entropy, resolved, addresses };
        let sandbox = ground.sandbox(address.port(), endpoint.port())?;
        let missing = sandbox.as_ref().map(Sandbox::missing).unwrap_or_default();
        let layers = sandbox.as_ref().map(Sandbox::layers).map_err(ToString::to_string);

        let keys = ground.keys().await?;
        let dynamodb = ground.dynamodb();
        let stacks = ground.stacks(again(&sandbox), &keys, &dynamodb, address.port(), endpoint.port()).await?;
        let hub = Hub::new();
        let assembly = ground.assembly(&keys, &stacks, &hub)?;
        let app = assembly.app(ground.configuration()?, Grants::ALL);
        let admin = ground.first_admin(&app).await?;
        let signing_key = match ground.config.rotate_keys {
            Some(old) => Some(app.identity.rotate_signing_key(old).await?.kid),
            None => None,
        };
        app.domain.jobs.take_over().await?;
        ground.static_files().await?;

        let worker = Arc::new(ground.worker(&assembly, sandbox.map_err(|unavailable| unavailable.to_string()))?);
        let functions: Arc<dyn Functions> = Arc::new(mount(&ground.resolved, &assembly, &worker)?);
        let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
        let sockets = ground.sockets(&hub, &functions)?;
        let git = assembly.app(ground.configuration()?, Grants::only(api::Area::Git.access()));
        let front = ground.front(git, &functions, &sockets, &stacks, address.port())?;
        let wire = WireSettings {
            store: ground.store.clone(),
            keys,
            clock: Arc::clone(&ground.clock),
            stacks: Arc::new(stacks),
            dynamodb: dynamodb.clone(),
            emulator: ground.config.emulator.as_deref().map(Emulator::new).transpose()?,
            endpoint: ground.addresses.endpoint.clone(),
            origins: Vec::new(),
        };
        let (socket, stop) = (ground.endpoint_socket(), shutdown.clone());
        tasks.spawn(async move {
            if let Err(error) = wire::serve(services, Some(socket), wire, stop).await {
                tracing::error!(%error, "the AWS service endpoint ended");
            }
        });
        tasks.spawn(serve(gateway, Arc::new(front), ServerLimits::default(), shutdown.clone()));
        let sources = Sources {
            resolved: &ground.resolved,
            store: &ground.store,
            functions,
            clock: Arc::clone(&ground.clock),
            entropy: Arc::clone(&ground.entropy),
            tasks: &tasks,
            shutdown: &shutdown,
        };
        sources.start()?;
        let data = ground.data;
        Ok(Self {
            address,
            endpoint,
            data,
            sandbox: layers,
            missing,
            admin,
            signing_key,
            shutdown,
            tasks,
            sockets,
            dynamodb,
        })
    }

    /// Ends open requests, connections and companions.
    pub async fn stop(self) {
        self.sockets.shut_down(STOP_MAX).await;
        self.shutdown.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(STOP_MAX, self.tasks.wait()).await;
        self.dynamodb.stop().await;
    }
}

/// The gateway's port and the one after it; two free ones for port 0.
async fn listen(port: u16) -> Result<(TcpListener, TcpListener)> {
    let bind = |port: u16| async move {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                anyhow!("port {port} is taken: stop what listens there, or start with another --port")
            }
            _ => anyhow!("port {port} cannot be used: {error}"),
        })
    };
    Ok((bind(port).await?, bind(if port == 0 { 0 } else { port + 1 }).await?))
}

/// The same sandbox, or the same reason.
fn again(sandbox: &Result<Sandbox, sandbox::Unavailable>) -> Result<Sandbox, sandbox::Unavailable> {
    sandbox.as_ref().cloned().map_err(|why| sandbox::Unavailable { reason: why.reason.clone() })
}

/// What every part is made from.
struct Ground {
    config: Config,
    data: PathBuf,
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    resolved: Resolved,
    addresses: Addresses,
}

impl Ground {
    fn work(&self, name: &str) -> PathBuf {
        self.data.join("work").join(name)
    }

    fn endpoint_socket(&self) -> PathBuf {
        self.work("services.sock")
    }

    fn sandbox(&self, gateway: u16, endpoint: u16) -> Result<Result<Sandbox, sandbox::Unavailable>> {
        std::fs::create_dir_all(self.data.join("work")).context("the data folder cannot be written")?;
        Ok(Sandbox::detect(SandboxSettings {
            init_program: std::env::current_exe().context("this program has no path")?,
            hidden: vec![self.data.clone()],
            platform_ports: vec![gateway, endpoint],
            ..SandboxSettings::default()
        }))
    }

    async fn keys(&self) -> Result<AccessKeys> {
        Ok(AccessKeys::open(AccessKeysSettings {
            parameters: Arc::new(self.store.parameters()),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            region: self.config.region.clone(),
            endpoint: Some(self.addresses.endpoint.clone()),
        })
        .await?)
    }

    fn dynamodb(&self) -> DynamoDb {
        DynamoDb::new(DynamoDbSettings {
            program: self.config.dynamodb.clone(),
            data: self.data.join("dynamodb"),
            region: self.config.region.clone(),
        })
    }

    /// A function of the REST API, whose variables are those of all.
    fn any_function(&self) -> Result<&sam::Function> {
        let mut functions = self.resolved.app.functions.values();
        functions.find(|one| one.environment.contains_key("TABLE_NAME")).context("the template has no functions")
    }

    fn configuration(&self) -> Result<function::Config> {
        self.resolved.configuration(self.any_function()?)
    }

    fn data_bucket(&self) -> Result<cloud_local::LocalBlobs> {
        Ok(self.store.blobs(&self.configuration()?.data_bucket))
    }

    async fn stacks(
        &self,
        sandbox: Result<Sandbox, sandbox::Unavailable>,
        keys: &AccessKeys,
        dynamodb: &DynamoDb,
        port: u16,
        endpoint_port: u16,
    ) -> Result<LocalStacks> {
        let settings = LocalStacksSettings {
            store: self.store.clone(),
            sandbox,
            artifacts: Arc::new(self.data_bucket()?),
            work: self.work("stacks"),
            site_host: format!("localhost:{port}"),
            endpoint: self.addresses.endpoint.clone(),
            endpoint_port,
            endpoint_socket: self.endpoint_socket(),
            keys: keys.clone(),
            dynamodb: Some(dynamodb.clone()),
            search_path: self.config.search_path.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };
        Ok(LocalStacks::open(settings).await?)
    }

    fn assembly(&self, keys: &AccessKeys, stacks: &LocalStacks, hub: &Hub) -> Result<Assembly> {
        let config = self.configuration()?;
        let key = keys.platform();
        let presigner = Presigner {
            endpoint: self.addresses.endpoint.clone(),
            region: self.config.region.clone(),
            access_key_id: key.access_key_id,
            secret_access_key: key.secret_access_key,
        };
        let queue = |url: &str| self.resolved.open_queue(&self.store, self.resolved.queue_at(url)?);
        let logs = self.store.clone();
        let ports = Ports {
            records: Arc::new(self.store.records()),
            blobs: Arc::new(self.data_bucket()?.with_presigner(presigner)),
            jobs_queue: Arc::new(queue(config.job_queue_url.as_str())?),
            tail_queue: Arc::new(queue(config.tail_queue_url.as_str())?),
            sockets: Arc::new(hub.clone()),
            logs: Arc::new(self.store.logs()),
            stack_logs: Arc::new(move |stack: &StackName| -> Arc<dyn Logs> {
                Arc::new(logs.logs_in(&Scope::Stack(stack.clone()).namespace()))
            }),
            parameters: Arc::new(self.store.parameters()),
            stacks: Arc::new(stacks.clone()) as Arc<dyn Stacks>,
            bus: None,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };
        let places = Places {
            starters: StarterSource::Folder(self.config.starters.clone()),
            pack_cache: self.data.join("cache"),
            pack_cache_max: PACK_CACHE_MAX,
        };
        let assembly = Assembly::new(ports, places)?;
        assembly.sweep_leftovers()?;
        Ok(assembly)
    }

    /// Makes the first admin when there is none.
    async fn first_admin(&self, app: &App) -> Result<Option<(String, String)>> {
        let email = EmailAddress::parse(&self.config.admin).map_err(|error| anyhow!("--admin: {error}"))?;
        let password = Password::generate(self.entropy.as_ref());
        let shown = password.expose().to_owned();
        let made = app.identity.bootstrap_admin(email, password).await?;
        Ok(made.map(|_| (self.config.admin.clone(), shown)))
    }

    async fn static_files(&self) -> Result<()> {
        let api = self.resolved.api(ApiKind::Rest)?;
        let bucket = api.routes.iter().find_map(|route| match &route.target {
            Target::S3(integration) => Some(integration.bucket.as_str()),
            _ => None,
        });
        let Some(bucket) = bucket else { return Ok(()) };
        let blobs = self.store.blobs(bucket);
        let files = &self.config.static_files;
        if !files.is_dir() {
            bail!("{} is not there: `cargo xtask up` builds the front end", files.display());
        }
        let count = synchronise(files, &blobs, &self.store.records()).await?;
        tracing::debug!(count, bucket, "the front end's files are in place");
        Ok(())
    }

    fn worker(&self, assembly: &Assembly, sandbox: Result<Sandbox, String>) -> Result<Worker> {
        let mut functions = self.resolved.app.functions.values();
        let own = functions.find(|one| {
            matches!(&one.code, sam::Code::Path(path) if path.contains("build-worker"))
                && !one.environment.contains_key("AREA")
        });
        let timeout = Duration::from_secs(own.map_or(900, |function| function.timeout_s).into());
        let builder = sandbox.map(|sandbox| -> Arc<dyn Build> {
            Arc::new(Builder::new(BuilderSettings {
                sandbox,
                tools: Tools::new(&self.config.search_path),
                cache: self.work("dependencies"),
                environment: self.config.registries.clone(),
                target: build::Target::Machine,
            }))
        });
        let app = assembly.app(self.configuration()?, Grants::only(build_worker::ACCESS));
        Ok(Worker {
            domain: app.domain,
            builder,
            work: self.work("builds"),
            job_max: timeout.saturating_sub(JOB_MARGIN),
            imports: ImportSettings {
                allowed: self.config.allow_import_from.clone(),
                authorities: self.config.import_ca.clone(),
            },
        })
    }

    fn sockets(&self, hub: &Hub, functions: &Arc<dyn Functions>) -> Result<SocketServer> {
        let api = self.resolved.api(ApiKind::WebSocket)?;
        let routes = api.routes.iter().filter_map(|route| match &route.target {
            Target::Function { function, .. } => Some((route.path.clone(), function.clone())),
            _ => None,
        });
        Ok(SocketServer::new(SocketSettings {
            hub: hub.clone(),
            api: SocketApi { api_id: api.logical_id.clone(), stage: api.stage.clone() },
            routes: routes.collect(),
            selection: api.route_selection.clone().unwrap_or_else(|| "$request.body.action".into()),
            functions: Arc::clone(functions),
            limits: SocketLimits::default(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        }))
    }

    fn front(
        &self,
        git: App,
        functions: &Arc<dyn Functions>,
        sockets: &SocketServer,
        stacks: &LocalStacks,
        port: u16,
    ) -> Result<Front> {
        let api = self.resolved.api(ApiKind::Rest)?.clone();
        let account = Account { id: self.resolved.account().to_owned(), region: self.resolved.region().to_owned() };
        let gateway = ApiGateway::new(ApiSettings {
            identity: ApiIdentity {
                account_id: account.id.clone(),
                region: account.region.clone(),
                api_id: api.logical_id.clone(),
                stage: api.stage.clone(),
                stage_variables: api.stage_variables.clone(),
            },
            api,
            functions: Arc::clone(functions),
            buckets: Arc::new(StoreBuckets(self.store.clone())),
            clock: Arc::clone(&self.clock),
            body: ApiSettings::body_limits(),
        });
        Ok(Front {
            api: gateway,
            sockets: sockets.clone(),
            git: api::git_router(git),
            sites: Sites::new(Arc::new(StackHosts(stacks.clone())), account, Arc::clone(&self.clock)),
            port,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        })
    }
}

struct StoreBuckets(Store);

impl Buckets for StoreBuckets {
    fn bucket(&self, name: &str) -> Option<Arc<dyn Blobs>> {
        Some(Arc::new(self.0.blobs(name)))
    }
}
