//! Users' systems by host: their API routes, then their static files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cloud::{Blobs, Clock};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use sam::ApiKind;

use crate::events::{ApiIdentity, GatewayRequest};
use crate::functions::{Functions, InvokeError};
use crate::gateway::{ApiGateway, ApiSettings, Buckets, Refusal, StaticFile, is_preflight, serve_file};
use crate::http::{Reply, problem};

/// Sites that are kept ready; the map starts anew when it is full.
const READY_MAX: usize = 1_000;

/// A deployed system, as the gateway needs it. A new version is a new value.
#[async_trait::async_trait]
pub trait Hosted: Send + Sync {
    fn app(&self) -> &sam::App;
    /// There is a static front end.
    fn has_files(&self) -> bool;
    /// The file at a decoded path, the index of a folder, or the document for what is not there (status 404).
    async fn file(&self, path: &str) -> cloud::Result<Option<StaticFile>>;
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError>;
}

/// The systems that are deployed.
#[async_trait::async_trait]
pub trait Hosts: Send + Sync {
    /// The system whose host's first label this is.
    async fn host(&self, label: &str) -> Option<Arc<dyn Hosted>>;
}

/// What the ARNs in events name.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: String,
    pub region: String,
}

/// Sites, ready to answer.
pub struct Sites {
    hosts: Arc<dyn Hosts>,
    account: Account,
    ready: Mutex<HashMap<String, Arc<Site>>>,
    clock: Arc<dyn Clock>,
}

impl Sites {
    pub fn new(hosts: Arc<dyn Hosts>, account: Account, clock: Arc<dyn Clock>) -> Self {
        Self { hosts, account, ready: Mutex::default(), clock }
    }

    /// The site in its current version.
    pub async fn find(&self, label: &str) -> Option<Arc<Site>> {
        let Some(hosted) = self.hosts.host(label).await else {
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).remove(label);
            return None;
        };
        let known = self.ready.lock().unwrap_or_else(PoisonError::into_inner).get(label).cloned();
        if let Some(site) = known.filter(|site| std::ptr::addr_eq(Arc::as_ptr(&site.hosted), Arc::as_ptr(&hosted))) {
            return Some(site);
        }
        let site = Arc::new(Site::new(hosted, &self.account, &self.clock));
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= READY_MAX {
            ready.clear();
        }
        ready.insert(label.to_owned(), Arc::clone(&site));
        Some(site)
    }
}

/// One version of one site.
pub struct Site {
    hosted: Arc<dyn Hosted>,
    apis: Vec<ApiGateway>,
}

struct HostedFunctions(Arc<dyn Hosted>);

#[async_trait::async_trait]
impl Functions for HostedFunctions {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        crate::functions::check_event(&event)?;
        crate::functions::check_reply(self.0.invoke(function, event).await?)
    }
}

/// S3 integrations of users' APIs are not run: their buckets are reached through the service endpoint alone.
struct NoBuckets;

impl Buckets for NoBuckets {
    fn bucket(&self, _: &str) -> Option<Arc<dyn Blobs>> {
        None
    }
}

impl Site {
    fn new(hosted: Arc<dyn Hosted>, account: &Account, clock: &Arc<dyn Clock>) -> Self {
        let served = |api: &&sam::Api| matches!(api.kind, ApiKind::Rest | ApiKind::Http);
        let apis = hosted.app().apis.values().filter(served).map(|api| {
            ApiGateway::new(ApiSettings {
                identity: ApiIdentity {
                    account_id: account.id.clone(),
                    region: account.region.clone(),
                    api_id: api.logical_id.clone(),
                    stage: api.stage.clone(),
                    stage_variables: api.stage_variables.clone(),
                },
                api: api.clone(),
                functions: Arc::new(HostedFunctions(Arc::clone(&hosted))),
                buckets: Arc::new(NoBuckets),
                clock: Arc::clone(clock),
                body: ApiSettings::body_limits(),
            })
        });
        Self { apis: apis.collect(), hosted }
    }

    /// Answers: exact routes, then files, then routes that take what is left, then the document for what is not there.
    /// `/` is the front end's, when there is one; with the stage before it, a path is always the API's.
    pub async fn answer(&self, request: GatewayRequest, path: &str, body: Incoming) -> Reply {
        let found = self.apis.iter().find_map(|api| Some((api, api.find(request.method.as_str(), path)?)));
        let staged = found.as_ref().is_some_and(|(_, routed)| routed.path != path);
        let exact = found.as_ref().is_some_and(|(_, routed)| staged || !routed.is_greedy() && path != "/");
        let head = request.method == Method::HEAD;
        let file = if exact || !(head || request.method == Method::GET) { None } else { self.file(path).await };
        let (file, missing) = match file {
            Some(file) if file.status == 200 => (Some(file), None),
            other => (None, other),
        };
        if let Some(file) = file {
            return serve_file(file, &request.headers, head).await;
        }
        if let Some((api, routed)) = found {
            return api.answer(routed, request, body).await;
        }
        if is_preflight(&request.method, &request.headers)
            && let Some(reply) = self.apis.iter().find_map(|api| api.preflight(path, &request.headers))
        {
            return reply;
        }
        match (missing, self.apis.first()) {
            (Some(missing), _) => serve_file(missing, &request.headers, head).await,
            (None, Some(api)) if !self.hosted.has_files() => api.refuse(Refusal::MissingRoute, &request),
            _ => problem(StatusCode::NOT_FOUND, "not-found", "There is nothing here.", &request.id),
        }
    }

    async fn file(&self, path: &str) -> Option<StaticFile> {
        if !self.hosted.has_files() {
            return None;
        }
        let decoded = percent_decode_str(path).decode_utf8().ok()?;
        match self.hosted.file(&decoded).await {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(%error, path, "looking for a site's file");
                None
            }
        }
    }
}
