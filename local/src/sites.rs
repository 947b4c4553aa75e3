//! Users' systems by host: their API routes, then their static files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cloud::{Blobs, Clock};
use http::{Method, StatusCode};
use hyper::body::Incoming;
use sam::ApiKind;

use crate::events::{ApiIdentity, GatewayRequest};
use crate::functions::{Functions, InvokeError};
use crate::gateway::{ApiGateway, ApiSettings, Buckets, Refusal, StaticFiles, is_preflight};
use crate::http::{Reply, problem};

/// Sites that are kept ready; the map starts anew when it is full.
const READY_MAX: usize = 1_000;

/// A deployed system, as the gateway needs it. A new version is a new value.
#[async_trait::async_trait]
pub trait Hosted: Send + Sync {
    fn app(&self) -> &sam::App;
    fn account_id(&self) -> &str;
    fn region(&self) -> &str;
    /// A bucket of the system by its physical name.
    fn bucket(&self, name: &str) -> Option<Arc<dyn Blobs>>;
    /// The static front end, when there is one.
    fn files(&self) -> Option<StaticFiles>;
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError>;
}

/// The systems that are deployed.
#[async_trait::async_trait]
pub trait Hosts: Send + Sync {
    /// The system whose host's first label this is.
    async fn host(&self, label: &str) -> Option<Arc<dyn Hosted>>;
}

/// Sites, ready to answer.
pub struct Sites {
    hosts: Arc<dyn Hosts>,
    ready: Mutex<HashMap<String, Arc<Site>>>,
    clock: Arc<dyn Clock>,
}

impl Sites {
    pub fn new(hosts: Arc<dyn Hosts>, clock: Arc<dyn Clock>) -> Self {
        Self { hosts, ready: Mutex::default(), clock }
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
        let site = Arc::new(Site::new(hosted, &self.clock));
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
    files: Option<StaticFiles>,
}

struct HostedFunctions(Arc<dyn Hosted>);

#[async_trait::async_trait]
impl Functions for HostedFunctions {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        crate::functions::check_event(&event)?;
        crate::functions::check_reply(self.0.invoke(function, event).await?)
    }
}

impl Buckets for HostedFunctions {
    fn bucket(&self, name: &str) -> Option<Arc<dyn Blobs>> {
        self.0.bucket(name)
    }
}

impl Site {
    fn new(hosted: Arc<dyn Hosted>, clock: &Arc<dyn Clock>) -> Self {
        let served = |api: &&sam::Api| matches!(api.kind, ApiKind::Rest | ApiKind::Http);
        let apis = hosted.app().apis.values().filter(served).map(|api| {
            let parts = Arc::new(HostedFunctions(Arc::clone(&hosted)));
            ApiGateway::new(ApiSettings {
                identity: ApiIdentity {
                    account_id: hosted.account_id().to_owned(),
                    region: hosted.region().to_owned(),
                    api_id: api.logical_id.clone(),
                    stage: api.stage.clone(),
                    stage_variables: api.stage_variables.clone(),
                },
                api: api.clone(),
                functions: Arc::clone(&parts) as Arc<dyn Functions>,
                buckets: parts,
                clock: Arc::clone(clock),
                body: ApiSettings::body_limits(),
            })
        });
        Self { apis: apis.collect(), files: hosted.files(), hosted }
    }

    /// Answers: exact routes, then files, then routes that take what is left. `/` is the front end's, when there is
    /// one; with the stage before it, a path is always the API's.
    pub async fn answer(&self, request: GatewayRequest, path: &str, body: Incoming) -> Reply {
        let found = self.apis.iter().find_map(|api| Some((api, api.find(request.method.as_str(), path)?)));
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        let staged = found.as_ref().is_some_and(|(_, routed)| routed.path != path);
        let exact = found.as_ref().is_some_and(|(_, routed)| staged || !routed.is_greedy() && path != "/");
        if let (false, true, Some(files)) = (exact, is_read, &self.files) {
            if let Some(reply) = files.answer(path, &request.headers, request.method == Method::HEAD).await {
                return reply;
            }
        }
        if let Some((api, routed)) = found {
            return api.answer(routed, request, body).await;
        }
        if is_preflight(&request.method, &request.headers) {
            if let Some(reply) = self.apis.iter().find_map(|api| api.preflight(path, &request.headers)) {
                return reply;
            }
        }
        if let (true, Some(files)) = (is_read, &self.files) {
            return files.missing(&request.headers).await;
        }
        match self.apis.first() {
            Some(api) => api.refuse(Refusal::MissingRoute, &request),
            None => problem(StatusCode::NOT_FOUND, "not-found", "There is nothing here.", &request.id),
        }
    }
}
