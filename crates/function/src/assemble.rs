//! The parts of the platform put together over one set of ports: the same in every function and on one machine.

use std::path::PathBuf;
use std::sync::Arc;

use cloud::Ports;
use domain::{Domain, DomainSettings, Quotas, StarterSource};
use git_store::{GitStore, GitStoreSettings};
use identity::{Identity, IdentitySettings};

use crate::{App, Config};

/// What the process itself offers.
pub struct Places {
    pub starters: StarterSource,
    /// A folder for packs in use.
    pub pack_cache: PathBuf,
    /// Bytes kept there.
    pub pack_cache_max: u64,
}

impl App {
    /// Fails when the folder for packs cannot be used.
    pub fn assemble(config: Config, ports: Ports, places: Places) -> Result<Self, git_store::Error> {
        let Ports { records, clock, entropy, .. } = &ports;
        let (records, clock, entropy) = (records.clone(), clock.clone(), entropy.clone());
        let identity = Arc::new(Identity::new(IdentitySettings {
            records: records.clone(),
            parameters: ports.parameters.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
        }));
        let git = GitStore::new(GitStoreSettings {
            blobs: ports.blobs.clone(),
            records: records.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            cache: places.pack_cache,
            cache_bytes_max: places.pack_cache_max,
        })?;
        let domain = Arc::new(Domain::new(DomainSettings {
            ports,
            git,
            identity: identity.clone(),
            starters: places.starters,
            quotas: Quotas::default(),
        }));
        Ok(Self { identity, domain, config: Arc::new(config), records, clock, entropy })
    }
}
