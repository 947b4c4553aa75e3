//! A store, an HTTP server before it, and `git` to talk to it.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloud::{Blobs, Millis, Records, SystemEntropy, Write};
use futures::{StreamExt, TryStreamExt};
use git_store::http::{Protocol, Service, decode_body};
use git_store::{BranchName, Error, GitStore, GitStoreSettings, RefChange, RefPolicy, RepositoryId};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use tempfile::TempDir;
use testkit::SimClock;
use testkit::memory::MemoryRecords;

use crate::blobs::{MemoryBlobs, SIGNED};

/// Refuses what its test says, and keeps what it was told.
#[derive(Default)]
pub struct TestPolicy {
    pub refuse: Mutex<Option<String>>,
    pub seen: Mutex<Vec<RefChange>>,
    pub along: Mutex<Vec<Write>>,
}

#[async_trait::async_trait]
impl RefPolicy for TestPolicy {
    async fn check(&self, change: &RefChange) -> Result<(), String> {
        match self.refuse.lock().unwrap().as_deref() {
            Some(name) if change.name.as_str() == name => Err("the branch is protected".into()),
            _ => Ok(()),
        }
    }

    async fn along(&self, changes: &[RefChange]) -> Result<Vec<Write>, cloud::Error> {
        *self.seen.lock().unwrap() = changes.to_vec();
        Ok(self.along.lock().unwrap().clone())
    }
}

pub struct Machine {
    pub store: GitStore,
    pub blobs: Arc<MemoryBlobs>,
    pub records: Arc<MemoryRecords>,
    pub policy: Arc<TestPolicy>,
    pub id: RepositoryId,
    pub clock: Arc<SimClock>,
    pub dir: TempDir,
    pub url: String,
}

pub const START: Millis = Millis(1_700_000_000_000);

pub fn open_store(records: Arc<dyn Records>, blobs: Arc<dyn Blobs>, cache: PathBuf) -> GitStore {
    open_store_at(records, blobs, cache, Arc::new(SimClock::at(START)))
}

pub fn open_store_at(
    records: Arc<dyn Records>,
    blobs: Arc<dyn Blobs>,
    cache: PathBuf,
    clock: Arc<SimClock>,
) -> GitStore {
    let entropy = Arc::new(SystemEntropy);
    GitStore::new(GitStoreSettings { blobs, records, clock, entropy, cache, cache_bytes_max: 1 << 30 }).unwrap()
}

impl Machine {
    pub async fn start() -> Self {
        let records = Arc::new(MemoryRecords::new(Arc::new(SimClock::at(Millis(0)))));
        let blobs = Arc::new(MemoryBlobs::default());
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(SimClock::at(START));
        let store = open_store_at(records.clone(), blobs.clone(), dir.path().join("cache"), clock.clone());
        let id = RepositoryId::parse("one").unwrap();
        store.create(&id, &BranchName::parse("main").unwrap()).await.unwrap();
        let policy = Arc::new(TestPolicy::default());
        let url = serve(store.clone(), policy.clone(), blobs.clone()).await;
        blobs.serve_at(&url);
        let url = format!("{url}/one.git");
        Self { store, blobs, records, policy, id, clock, dir, url }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs git in the folder `at` of this machine.
    pub async fn try_git(&self, at: &str, args: &[&str]) -> Output {
        std::fs::create_dir_all(self.path(at)).unwrap();
        git_command(&self.path(at), self.dir.path()).args(args).output().await.unwrap()
    }

    pub async fn git(&self, at: &str, args: &[&str]) -> String {
        let output = self.try_git(at, args).await;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "git {args:?}\n{out}\n{err}");
        out.trim().to_owned()
    }

    /// Runs git, which must fail; the answer is what it said.
    pub async fn git_fails(&self, at: &str, args: &[&str]) -> String {
        let output = self.try_git(at, args).await;
        assert!(!output.status.success(), "git {args:?} must fail");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A new repository in the folder `at`, whose `origin` is the store.
    pub async fn init(&self, at: &str) {
        self.git(at, &["init", "-q", "-b", "main"]).await;
        self.git(at, &["remote", "add", "origin", &self.url]).await;
    }

    pub async fn commit(&self, at: &str, path: &str, text: &str) -> String {
        let file = self.path(at).join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(at, &["add", "-A"]).await;
        self.git(at, &["commit", "-q", "-m", &format!("write {path}")]).await;
        self.git(at, &["rev-parse", "HEAD"]).await
    }

    pub async fn post(&self, service: &str, body: Vec<u8>) -> Vec<u8> {
        let stream = cloud::stream_of(body);
        match service {
            "git-receive-pack" => {
                let answer = self.store.receive_pack(&self.id, stream, self.policy.clone()).await.unwrap();
                let chunks: Vec<Bytes> = answer.try_collect().await.unwrap();
                chunks.concat()
            }
            protocol => {
                let protocol = if protocol == "v2" { Protocol::V2 } else { Protocol::V0 };
                let answer = self.store.upload_pack(&self.id, protocol, stream).await.unwrap();
                let chunks: Vec<Bytes> = answer.try_collect().await.unwrap();
                chunks.concat()
            }
        }
    }
}

pub fn git_command(at: &Path, home: &Path) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("git");
    command.current_dir(at).env("HOME", home).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A Person").env(format!("GIT_{who}_EMAIL"), "person@example.com");
    }
    command
}

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

async fn serve(store: GitStore, policy: Arc<TestPolicy>, blobs: Arc<MemoryBlobs>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (store, policy, blobs) = (store.clone(), policy.clone(), blobs.clone());
            tokio::spawn(async move {
                let service =
                    hyper::service::service_fn(|request| answer(store.clone(), policy.clone(), blobs.clone(), request));
                let io = hyper_util::rt::TokioIo::new(socket);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            });
        }
    });
    url
}

async fn answer(
    store: GitStore,
    policy: Arc<TestPolicy>,
    blobs: Arc<MemoryBlobs>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if let Some(key) = request.uri().path().strip_prefix("/blobs/") {
        let found = if request.uri().query() == Some(SIGNED) { blobs.find(key) } else { None };
        let status = if found.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        let mut response = Response::new(whole(found.unwrap_or_default()));
        *response.status_mut() = status;
        return Ok(response);
    }
    Ok(route(store, policy, request).await.unwrap_or_else(|error| {
        let status = match error {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Invalid(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut response = Response::new(whole(error.to_string().into()));
        *response.status_mut() = status;
        response
    }))
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

async fn route(store: GitStore, policy: Arc<TestPolicy>, request: Request<Incoming>) -> Result<Response<Body>, Error> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let protocol = Protocol::from_header(header("git-protocol").as_deref());
    let encoding = header("content-encoding");
    let path = request.uri().path().to_owned();
    let (id, rest) = path.trim_start_matches('/').split_once(".git/").unwrap_or_default();
    let id = RepositoryId::parse(id)?;
    if rest == "info/refs" {
        let service = request.uri().query().and_then(|query| query.strip_prefix("service=")).unwrap_or_default();
        let service = Service::parse(service)?;
        let body = whole(store.advertise(&id, service, protocol).await?);
        return Ok(Response::builder().header("content-type", service.advertisement_type()).body(body).unwrap());
    }
    let service = Service::parse(rest)?;
    if header("content-type").as_deref() != Some(service.request_type()) {
        return Err(Error::Invalid("content type".into()));
    }
    let frames = BodyStream::new(request.into_body());
    let body = frames.filter_map(|frame| async move {
        frame.map(|frame| frame.into_data().ok()).map_err(std::io::Error::other).transpose()
    });
    let body = decode_body(encoding.as_deref(), body.boxed())?;
    let packets = match service {
        Service::UploadPack => store.upload_pack(&id, protocol, body).await?,
        Service::ReceivePack => store.receive_pack(&id, body, policy).await?,
    };
    let body = StreamBody::new(packets.map_ok(Frame::data)).boxed_unsync();
    Ok(Response::builder().header("content-type", service.result_type()).body(body).unwrap())
}
