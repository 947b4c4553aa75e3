//! A gateway over templates, with functions that are closures.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloud::{BlobKey, Blobs, Clock, PutOptions, SystemClock, SystemEntropy};
use cloud_local::{Store, StoreSettings};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use local::events::{ApiIdentity, SocketApi};
use local::front::Front;
use local::functions::{Functions, InvokeError, StreamedReply};
use local::gateway::{ApiGateway, ApiSettings, Buckets, FileBody, StaticFile};
use local::http::{BodyLimits, ServerLimits, serve};
use local::sites::{Account, Hosted, Hosts, Sites};
use local::socket::{Hub, SocketLimits, SocketServer, SocketSettings};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub const REGION: &str = "eu-central-1";
pub const ACCOUNT: &str = "000000000000";

/// What a function does with an event.
pub type Handler = fn(&Value) -> Result<Value, InvokeError>;

/// How a function that streams answers.
pub type Streamer = Box<dyn Fn(&Value) -> Result<StreamedReply, InvokeError> + Send>;

/// Functions by logical id, with every event they got.
#[derive(Default)]
pub struct Closures {
    pub handlers: BTreeMap<&'static str, Handler>,
    pub streamers: Mutex<BTreeMap<&'static str, Streamer>>,
    pub events: Mutex<Vec<(String, Value)>>,
}

#[async_trait::async_trait]
impl Functions for Closures {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        local::functions::check_event(&event)?;
        let event: Value = serde_json::from_slice(&event).unwrap();
        self.events.lock().unwrap().push((function.to_owned(), event.clone()));
        let handler = self.handlers.get(function).ok_or_else(|| InvokeError::Unavailable(function.to_owned()))?;
        handler(&event).and_then(|reply| local::functions::check_reply(reply.to_string().into()))
    }

    async fn invoke_streamed(&self, function: &str, event: Bytes) -> Result<StreamedReply, InvokeError> {
        let event: Value = serde_json::from_slice(&event).unwrap();
        self.events.lock().unwrap().push((function.to_owned(), event.clone()));
        let streamers = self.streamers.lock().unwrap();
        streamers.get(function).ok_or_else(|| InvokeError::Unavailable(function.to_owned()))?(&event)
    }
}

impl Closures {
    pub fn count(&self, function: &str) -> usize {
        self.events.lock().unwrap().iter().filter(|(name, _)| name == function).count()
    }
}

pub struct StoreBuckets(pub Store);

impl Buckets for StoreBuckets {
    fn bucket(&self, name: &str) -> Option<Arc<dyn Blobs>> {
        Some(Arc::new(self.0.blobs(name)))
    }
}

/// A deployed system for tests.
pub struct TestSite {
    pub app: sam::App,
    pub functions: Arc<Closures>,
    /// Path without its slash -> text; `None` without a front end.
    pub files: Option<BTreeMap<&'static str, &'static str>>,
}

struct Text(&'static str);

#[async_trait::async_trait]
impl FileBody for Text {
    async fn read(&self, range: Option<std::ops::Range<u64>>) -> cloud::Result<cloud::BlobStream> {
        let range = range.map_or(0..self.0.len(), |range| range.start as usize..range.end as usize);
        Ok(cloud::stream_of(Bytes::from(self.0[range].to_owned())))
    }
}

#[async_trait::async_trait]
impl Hosted for TestSite {
    fn app(&self) -> &sam::App {
        &self.app
    }
    fn has_files(&self) -> bool {
        self.files.is_some()
    }
    async fn file(&self, path: &str) -> cloud::Result<Option<StaticFile>> {
        let files = self.files.as_ref().unwrap();
        let path = path.trim_start_matches('/');
        let name = if path.is_empty() || path.ends_with('/') { format!("{path}index.html") } else { path.to_owned() };
        let found =
            files.get(name.as_str()).map(|text| (200, *text)).or(files.get("404.html").map(|text| (404, *text)));
        Ok(found.map(|(status, text)| StaticFile {
            status,
            length: text.len() as u64,
            etag: format!("e-{text}"),
            modified: cloud::Millis(0),
            content_type: "text/html".into(),
            content_encoding: None,
            cache_control: None,
            body: Box::new(Text(text)),
        }))
    }
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.functions.invoke(function, event).await
    }
}

#[derive(Default)]
pub struct TestHosts(pub Mutex<BTreeMap<String, Arc<dyn Hosted>>>);

#[async_trait::async_trait]
impl Hosts for TestHosts {
    async fn host(&self, label: &str) -> Option<Arc<dyn Hosted>> {
        self.0.lock().unwrap().get(label).cloned()
    }
}

pub fn app(template: &str) -> sam::App {
    let names = sam::AccountNames {
        stack: "test".into(),
        region: REGION.into(),
        account: ACCOUNT.into(),
        queue_endpoint: "http://127.0.0.1:1".into(),
        site_host: "dev--test.localhost".into(),
        site_scheme: "http".into(),
    };
    let template = sam::Template::parse(template).unwrap();
    sam::resolve(&template, &sam::Resolve { parameters: BTreeMap::new(), names: &names }).unwrap()
}

pub struct World {
    pub at: SocketAddr,
    pub functions: Arc<Closures>,
    pub store: Store,
    pub hosts: Arc<TestHosts>,
    _data: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Starts a front whose platform API is the first REST API of `template`.
pub async fn start(template: &str, handlers: &[(&'static str, Handler)]) -> World {
    let data = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let store = open(data.path(), &clock);
    let functions = Arc::new(Closures { handlers: handlers.iter().copied().collect(), ..Closures::default() });
    let app = app(template);
    let api = app.apis.values().find(|api| api.kind == sam::ApiKind::Rest).unwrap().clone();
    let gateway = ApiGateway::new(ApiSettings {
        identity: ApiIdentity {
            account_id: ACCOUNT.into(),
            region: REGION.into(),
            api_id: "api".into(),
            stage: api.stage.clone(),
            stage_variables: BTreeMap::new(),
        },
        api,
        functions: Arc::clone(&functions) as Arc<dyn Functions>,
        buckets: Arc::new(StoreBuckets(store.clone())),
        clock: Arc::clone(&clock),
        body: BodyLimits { idle: std::time::Duration::from_millis(200), ..ApiSettings::body_limits() },
    });
    let sockets = SocketServer::new(SocketSettings {
        hub: Hub::new(),
        api: SocketApi { api_id: "sockets".into(), stage: "dev".into() },
        routes: BTreeMap::new(),
        selection: "$request.body.action".into(),
        functions: Arc::clone(&functions) as Arc<dyn Functions>,
        limits: SocketLimits::default(),
        clock: Arc::clone(&clock),
        entropy: entropy.clone(),
    });
    let echo = axum::routing::any(|body: axum::body::Body| async move { axum::response::Response::new(body) });
    let hosts = Arc::new(TestHosts::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let front = Front {
        api: gateway,
        sockets,
        git: axum::Router::new().route("/git/{*rest}", echo),
        sites: Sites::new(
            Arc::clone(&hosts) as Arc<dyn Hosts>,
            Account { id: ACCOUNT.into(), region: REGION.into() },
            Arc::clone(&clock),
        ),
        port: at.port(),
        clock,
        entropy,
    };
    tokio::spawn(serve(listener, Arc::new(front), ServerLimits::default(), CancellationToken::new()));
    World { at, functions, store, hosts, _data: data }
}

fn open(data: &Path, clock: &Arc<dyn Clock>) -> Store {
    Store::open(StoreSettings { data: data.to_owned(), clock: Arc::clone(clock), entropy: Arc::new(SystemEntropy) })
        .unwrap()
}

impl World {
    pub async fn put(&self, bucket: &str, key: &str, body: impl Into<Bytes>, options: PutOptions) {
        self.store.blobs(bucket).put(&BlobKey::parse(key).unwrap(), body.into(), options).await.unwrap();
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// One request on a connection of its own; the host is `localhost` unless the headers name one.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let (parts, body) = self.begin(method, path, headers, body).await.into_parts();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// The same, answered with a body that is still to come.
    pub async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.at).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }
}

/// Answers with the event itself.
pub fn echo(event: &Value) -> Result<Value, InvokeError> {
    Ok(json!({ "statusCode": 200, "headers": { "Content-Type": "application/json" }, "body": event.to_string() }))
}
