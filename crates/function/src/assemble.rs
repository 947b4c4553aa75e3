//! The parts of the platform put together over one set of ports: the same in every function and on one machine.

use std::path::PathBuf;
use std::sync::Arc;

use cloud::{Grants, Ports};
use domain::{Domain, DomainSettings, Quotas, StarterSource};
use git_store::{GitStore, GitStoreSettings};
use identity::{Identity, IdentitySettings};

use crate::metered::Metered;
use crate::{App, Config};

/// What the process itself offers.
pub struct Places {
    pub starters: StarterSource,
    /// A folder for packs in use.
    pub pack_cache: PathBuf,
    /// Bytes kept there.
    pub pack_cache_max: u64,
}

/// What the functions of one process are made of. They share the cache of packs and nothing else.
pub struct Assembly {
    ports: Ports,
    git: GitStore,
    starters: StarterSource,
}

impl Assembly {
    /// Fails when the folder for packs cannot be used.
    pub fn new(ports: Ports, places: Places) -> Result<Self, git_store::Error> {
        let git = GitStore::new(GitStoreSettings {
            blobs: ports.blobs.clone(),
            records: ports.records.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            cache: places.pack_cache,
            cache_bytes_max: places.pack_cache_max,
        })?;
        Ok(Self { ports, git, starters: places.starters })
    }

    /// Removes what an earlier process on this machine left in the folder for packs.
    pub fn sweep_leftovers(&self) -> Result<(), git_store::Error> {
        self.git.sweep_leftovers()
    }

    /// One function's app, which can do what its rights include and nothing else.
    pub fn app(&self, config: Config, grants: Grants) -> App {
        crate::metrics::belong_to(&config.environment);
        let mut ports = self.ports.limited_to(grants);
        ports.sockets = Arc::new(Metered(ports.sockets));
        let (records, clock, entropy) = (ports.records.clone(), ports.clock.clone(), ports.entropy.clone());
        let identity = Arc::new(Identity::new(IdentitySettings {
            records: records.clone(),
            parameters: ports.parameters.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }));
        let domain = Arc::new(Domain::new(DomainSettings {
            git: self.git.over(ports.blobs.clone(), records.clone()),
            ports,
            identity: identity.clone(),
            starters: self.starters.clone(),
            quotas: Quotas::default(),
        }));
        App { identity, domain, config: Arc::new(config), records, clock, entropy }
    }
}

impl App {
    /// The app of the one function that this process is. Fails when the folder for packs cannot be used.
    pub fn assemble(config: Config, ports: Ports, places: Places, grants: Grants) -> Result<Self, git_store::Error> {
        Ok(Assembly::new(ports, places)?.app(config, grants))
    }
}
