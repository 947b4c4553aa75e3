//! The platform's own template, resolved for this machine.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use cloud_local::{QueueSettings, Store};
use function::Config as FunctionConfig;
use sam::{AccountNames, App, QueueReference, Resource};

/// Where the parts of this machine answer.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// `http://127.0.0.1:4000`.
    pub public: String,
    /// `ws://127.0.0.1:4000/socket`.
    pub socket: String,
    /// `http://127.0.0.1:4001`.
    pub endpoint: String,
}

/// The template with every value filled in.
pub struct Resolved {
    pub app: App,
    names: AccountNames,
    addresses: Addresses,
}

impl Resolved {
    /// Reads and resolves the template at `path` for the environment `dev`.
    pub fn read(path: &Path, addresses: Addresses, region: &str) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the platform's template {shown} cannot be read; name it with --template"))?;
        let template = sam::Template::parse(&text).map_err(|error| anyhow!("{shown}: {error}"))?;
        let names = AccountNames {
            stack: "workroom".into(),
            region: region.to_owned(),
            account: cloud_local::wire::ACCOUNT_ID.to_owned(),
            queue_endpoint: addresses.endpoint.clone(),
            site_host: addresses.public.trim_start_matches("http://").to_owned(),
            site_scheme: "http".into(),
        };
        let parameters = BTreeMap::from([("Environment".to_owned(), "dev".to_owned())]);
        let app = sam::resolve(&template, &sam::Resolve { parameters, names: &names }).map_err(|problems| {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            anyhow!("{shown}: {}", lines.join("; "))
        })?;
        if let Some(refused) = app.refused.first() {
            bail!("{shown}: {} ({}): {}", refused.resource, refused.kind, refused.reason);
        }
        Ok(Self { app, names, addresses })
    }

    /// The configuration of a function: its variables of the template, with the addresses of this machine.
    pub fn configuration(&self, function: &sam::Function) -> Result<FunctionConfig> {
        FunctionConfig::read(|name| match name {
            "PUBLIC_URL" => Some(self.addresses.public.clone()),
            "SOCKET_URL" => Some(self.addresses.socket.clone()),
            "SOCKET_MANAGEMENT_URL" => Some(format!("{}/socket", self.addresses.public)),
            name => function.environment.get(name).cloned(),
        })
        .map_err(|errors| anyhow!("{}: {errors}", function.logical_id))
    }

    /// The physical name of a queue.
    pub fn queue_name(&self, logical: &str) -> Result<String> {
        let queue = self.app.queues.get(logical).with_context(|| format!("the template has no queue `{logical}`"))?;
        let kind = "AWS::SQS::Queue";
        Ok(self.names.physical(Resource { logical, kind, name: queue.name.as_deref() }))
    }

    /// The queue that an event source or a redrive policy means.
    pub fn queue_of(&self, reference: &QueueReference) -> Result<&sam::QueueResource> {
        let logical = match reference {
            QueueReference::Logical(logical) => Some(logical.clone()),
            QueueReference::Arn(arn) => {
                let name = arn.rsplit(':').next().unwrap_or_default();
                self.app.queues.keys().find(|logical| self.queue_name(logical).is_ok_and(|own| own == name)).cloned()
            }
        };
        let found = logical.and_then(|logical| self.app.queues.get(&logical));
        found.with_context(|| format!("the template has no queue {reference:?}"))
    }

    /// Opens a queue with its redrive policy.
    pub fn open_queue(&self, store: &Store, queue: &sam::QueueResource) -> Result<cloud_local::LocalQueue> {
        let name = self.queue_name(&queue.logical_id)?;
        let Some(redrive) = &queue.redrive else {
            return Ok(store.queue(&name, QueueSettings { receives_max: u32::MAX }));
        };
        let dead = self.queue_name(&self.queue_of(&redrive.dead_letters)?.logical_id)?;
        let settings = QueueSettings { receives_max: redrive.max_receive_count };
        Ok(store.queue(&name, settings).with_dead_letter_queue(&dead))
    }

    /// The queue that a queue URL of a function's configuration means.
    pub fn queue_at(&self, url: &str) -> Result<&sam::QueueResource> {
        let name = url.rsplit('/').next().unwrap_or_default();
        let mut queues = self.app.queues.values();
        let found = queues.find(|queue| self.queue_name(&queue.logical_id).is_ok_and(|own| own == name));
        found.with_context(|| format!("the template has no queue for {url}"))
    }

    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.names.region, self.names.account)
    }

    pub fn function_arn(&self, function: &sam::Function) -> String {
        let (logical, kind) = (function.logical_id.as_str(), "AWS::Serverless::Function");
        let name = self.names.physical(Resource { logical, kind, name: function.name.as_deref() });
        self.arn("lambda", &format!("function:{name}"))
    }

    pub fn region(&self) -> &str {
        &self.names.region
    }

    pub fn account(&self) -> &str {
        &self.names.account
    }

    /// The API of a kind; the platform has one of each.
    pub fn api(&self, kind: sam::ApiKind) -> Result<&sam::Api> {
        self.app.apis.values().find(|api| api.kind == kind).with_context(|| format!("the template has no {kind:?} API"))
    }
}
