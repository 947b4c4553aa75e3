//! Builds in the function apart: both sides over blobs in memory, and a function that does not keep to what was agreed.
//! This program is its own sandbox init: hence its own `main`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use build_worker::apart::{
    AnswerStream, BuildFunction, BuildFunctions, BuiltApart, Kept, Order, Outcome, Said, TransferError, Transfers,
    Upload,
};
use build_worker::build::{
    Build, BuildError, Builder, BuilderSettings, Built, Family, Output, PackageKind, Plan, PlannedFunction, Request,
    Target,
};
use bytes::Bytes;
use cloud::{
    Blob, BlobKey, BlobMeta, BlobPage, BlobStream, Blobs, ByteRange, ETag, Error, Millis, PresignGet, PresignPut,
    Presigned, PutOptions, Result, Sha256Digest,
};
use futures::StreamExt;
use libtest_mimic::{Arguments, Failed, Trial};
use sam::{BuildMetadata, Code};
use sandbox::{Sandbox, SandboxSettings, Tools};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn main() {
    sandbox::run_if_init();
    let trials = vec![
        trial("a_build_apart_makes_the_packages_of_a_build_here", same_packages),
        trial("build_steps_see_no_variable_of_the_function", scrubbed),
        trial("a_build_that_is_abandoned_ends", abandoned),
        trial("a_failing_step_is_the_projects_own_doing", failing),
        trial("a_makefile_is_refused_with_what_to_do", no_make),
        trial("dependencies_that_were_kept_are_the_projects_next_time", keeps),
        trial("what_is_not_what_it_was_told_to_be_is_refused", dishonest),
        trial("an_answer_that_ends_early_is_tried_again", cut_off),
        trial("a_function_that_ran_out_of_memory_fails_the_build_with_its_reason", ended),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(name: &str, test: fn(&Bench) -> std::result::Result<(), Failed>) -> Trial {
    Trial::test(name, move || test(&Bench::new()))
}

/// Blobs in memory, and addresses of them.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Memory {
    fn names(&self, prefix: &str) -> Vec<String> {
        self.0.lock().unwrap().keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    fn insert(&self, key: &str, body: impl Into<Bytes>) {
        self.0.lock().unwrap().insert(key.to_owned(), body.into());
    }
}

fn address(method: &str, key: &BlobKey) -> Presigned {
    Presigned { method: method.into(), url: key.to_string(), headers: Vec::new(), expires: Millis(0) }
}

#[async_trait]
impl Blobs for Memory {
    async fn put(&self, key: &BlobKey, body: Bytes, _: PutOptions) -> Result<ETag> {
        self.insert(key.as_str(), body);
        Ok(ETag("-".into()))
    }
    async fn put_stream(&self, key: &BlobKey, mut body: BlobStream, options: PutOptions) -> Result<BlobMeta> {
        let mut all = Vec::new();
        while let Some(part) = body.next().await {
            all.extend_from_slice(&part.unwrap());
        }
        assert_eq!(options.length, Some(all.len() as u64), "the length is told before the body");
        self.insert(key.as_str(), all);
        self.head(key).await
    }
    async fn get(&self, key: &BlobKey, _: Option<ByteRange>) -> Result<Blob> {
        let meta = self.head(key).await?;
        let body = self.0.lock().unwrap()[key.as_str()].clone();
        Ok(Blob { range: 0..meta.length, meta, body: cloud::stream_of(body) })
    }
    async fn head(&self, key: &BlobKey) -> Result<BlobMeta> {
        let length = self.0.lock().unwrap().get(key.as_str()).map(Bytes::len);
        let length = length.ok_or_else(|| Error::NotFound(key.to_string()))? as u64;
        let (content_type, content_encoding, cache_control) = (None, None, None);
        let (key, etag, modified) = (key.clone(), ETag("-".into()), Millis(0));
        Ok(BlobMeta { key, length, etag, modified, content_type, content_encoding, cache_control })
    }
    async fn list(&self, prefix: &str, _: Option<&str>, _: usize) -> Result<BlobPage> {
        let mut blobs = Vec::new();
        for key in self.names(prefix) {
            blobs.push(self.head(&BlobKey::parse(key).unwrap()).await?);
        }
        Ok(BlobPage { blobs, next: None })
    }
    async fn delete(&self, key: &BlobKey) -> Result<()> {
        self.0.lock().unwrap().remove(key.as_str());
        Ok(())
    }
    async fn presign_get(&self, key: &BlobKey, _: PresignGet) -> Result<Presigned> {
        Ok(address("GET", key))
    }
    async fn presign_put(&self, _: &BlobKey, _: PresignPut) -> Result<Presigned> {
        panic!("what a build makes is not known before")
    }
    async fn presign_put_any(&self, key: &BlobKey, _: Duration) -> Result<Presigned> {
        Ok(address("PUT", key))
    }
}

#[async_trait]
impl Transfers for Memory {
    async fn get(&self, from: &Presigned, file: &Path, _: u64) -> std::result::Result<(), TransferError> {
        assert_eq!(from.method, "GET");
        let body = self.0.lock().unwrap().get(&from.url).cloned();
        fs::write(file, body.ok_or_else(|| TransferError("404".into()))?).unwrap();
        Ok(())
    }
    async fn put(&self, to: &Presigned, file: &Path) -> std::result::Result<(), TransferError> {
        assert_eq!(to.method, "PUT");
        self.insert(&to.url, fs::read(file).unwrap());
        Ok(())
    }
    async fn exists(&self, at: &Presigned) -> std::result::Result<bool, TransferError> {
        Ok(self.0.lock().unwrap().contains_key(&at.url))
    }
}

fn line(said: &Said) -> cloud::Result<Bytes> {
    Ok([serde_json::to_vec(said).unwrap(), b"\n".to_vec()].concat().into())
}

/// The function as it is on Lambda, without Lambda.
struct Real(Arc<BuildFunction>);

#[async_trait]
impl BuildFunctions for Real {
    async fn call(&self, _: Family, tenant: &str, order: Bytes) -> Result<AnswerStream> {
        assert_eq!(tenant, "p");
        let (said, lines) = mpsc::channel(10);
        let function = self.0.clone();
        let order = serde_json::from_slice(&order).unwrap();
        tokio::spawn(async move { function.answer(order, said).await });
        Ok(futures::stream::unfold(lines, async |mut lines| Some((line(&lines.recv().await?), lines))).boxed())
    }
}

/// A function that answers what a test wants.
struct Scripted(Box<Script>);

type Script = dyn Fn(&Order) -> Vec<cloud::Result<Bytes>> + Send + Sync;

#[async_trait]
impl BuildFunctions for Scripted {
    async fn call(&self, _: Family, _: &str, order: Bytes) -> Result<AnswerStream> {
        let order: Order = serde_json::from_slice(&order).unwrap();
        Ok(futures::stream::iter((self.0)(&order)).boxed())
    }
}

struct Bench {
    folder: TempDir,
    memory: Memory,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap(), memory: Memory::default() };
        for name in ["checkout/src", "work", "cache", "here"] {
            fs::create_dir_all(bench.path(name)).unwrap();
        }
        bench.file("src/app.py", "def handler(e, c): return 1\n");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) {
        let path = self.path("checkout").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn builder(&self, target: Target) -> Builder {
        let own = SandboxSettings {
            init_program: std::env::current_exe().unwrap(),
            own_machine: target == Target::Lambda,
            ..SandboxSettings::default()
        };
        Builder::new(BuilderSettings {
            sandbox: Sandbox::detect(own).unwrap(),
            tools: Tools::new(&std::env::var("PATH").unwrap()),
            cache: self.path("cache"),
            environment: BTreeMap::new(),
            target,
        })
    }

    fn real(&self) -> Arc<dyn BuildFunctions> {
        let (builder, transfers) = (self.builder(Target::Lambda), Arc::new(self.memory.clone()));
        Arc::new(Real(Arc::new(BuildFunction { builder, transfers, work: self.path("work") })))
    }

    fn apart(&self, functions: Arc<dyn BuildFunctions>) -> BuiltApart {
        BuiltApart { functions, blobs: Arc::new(self.memory.clone()), time: Duration::from_secs(60) }
    }

    /// Builds, and gives the log; `stop_at` abandons the build when a line has that text.
    fn build(
        &self,
        builder: &dyn Build,
        plan: &Plan,
        stop_at: Option<&str>,
    ) -> (std::result::Result<Built, BuildError>, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let scratch = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        runtime.block_on(async {
            let (lines, mut said) = mpsc::channel(10_000);
            let output = Output { lines, stop: CancellationToken::new() };
            let root = self.path("checkout");
            let blobs: Option<Arc<dyn Blobs>> = None;
            let request =
                Request { root: &root, base: &root, plan, scratch: &scratch, project: "p", run: "p/j-1", blobs };
            let mut log = Vec::new();
            let heard = async {
                while let Some(line) = said.recv().await {
                    let stop = stop_at.is_some_and(|text| line.contains(text));
                    log.push(line);
                    if stop {
                        builder.abandon("p/j-1").await;
                    }
                }
            };
            let building = async {
                let built = builder.build(&request, &output).await;
                drop(output);
                built
            };
            let (built, ()) = futures::join!(building, heard);
            (built, log)
        })
    }
}

fn function(runtime: &str, method: Option<&str>) -> PlannedFunction {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    PlannedFunction {
        logical_id: "F".into(),
        runtime: runtime.into(),
        code: Code::Path("src".into()),
        architecture: architecture.into(),
        build: BuildMetadata { method: method.map(str::to_owned), ..BuildMetadata::default() },
    }
}

fn plan(function: PlannedFunction) -> Plan {
    Plan { functions: vec![function], layers: Vec::new(), front_end: true }
}

fn same_packages(bench: &Bench) -> std::result::Result<(), Failed> {
    bench.file("frontend/index.html", "<p>hello");
    std::os::unix::fs::symlink("/etc/passwd", bench.path("checkout/elsewhere"))?;
    let plan = plan(function("python3.12", None));
    let here = bench.build(&bench.builder(Target::Machine), &plan, None).0?;
    let (apart, log) = bench.build(&bench.apart(bench.real()), &plan, None);
    let digests = |built: &Built| {
        let mut all: Vec<_> = built.packages.iter().map(|p| (p.name.clone(), p.sha256, p.length)).collect();
        all.sort();
        all
    };
    let apart = apart?;
    assert_eq!(digests(&here), digests(&apart));
    assert!(apart.packages.iter().all(|package| Sha256Digest::of(&fs::read(&package.file).unwrap()) == package.sha256));
    assert!(log.iter().any(|line| line == "Building F (python3.12)"), "{log:?}");
    assert_eq!(bench.memory.names("builds/"), [""; 0], "pieces of the build are left");
    assert_eq!(fs::read_dir(bench.path("work"))?.count(), 0, "the function leaves its folder");
    Ok(())
}

/// A project whose front end's build is `script`.
fn scripted(bench: &Bench, script: &str) -> Plan {
    bench.file("frontend/package.json", &format!(r#"{{"scripts": {{"build": {script:?}}}}}"#));
    Plan { front_end: true, ..Plan::default() }
}

fn scrubbed(bench: &Bench) -> std::result::Result<(), Failed> {
    // SAFETY: nothing else of this program reads or writes the environment while trials run.
    unsafe { std::env::set_var("WORKROOM_TEST_SECRET_OF_THE_FUNCTION", "7f3a") };
    let plan = scripted(bench, "env > seen.txt; mkdir dist; cp seen.txt dist/index.html; cat seen.txt");
    let (built, log) = bench.build(&bench.apart(bench.real()), &plan, None);
    built?;
    assert!(log.iter().any(|line| line == "CI=true"), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("7f3a") || line.starts_with("AWS_")), "{log:?}");
    Ok(())
}

fn abandoned(bench: &Bench) -> std::result::Result<(), Failed> {
    let plan = scripted(bench, "echo begun; sleep 300");
    let (built, _) = bench.build(&bench.apart(bench.real()), &plan, Some("begun"));
    assert!(matches!(built, Err(BuildError::Stopped)), "{built:?}");
    Ok(())
}

fn failing(bench: &Bench) -> std::result::Result<(), Failed> {
    let plan = scripted(bench, "echo no such thing; exit 3");
    let (built, log) = bench.build(&bench.apart(bench.real()), &plan, None);
    assert!(matches!(&built, Err(BuildError::Failed(text)) if text.contains("exit code 3")), "{built:?}");
    assert!(log.iter().any(|line| line.contains("no such thing")), "{log:?}");
    Ok(())
}

fn no_make(bench: &Bench) -> std::result::Result<(), Failed> {
    bench.file("src/Makefile", "build-F:\n\ttrue\n");
    let plan = plan(function("provided.al2023", Some("makefile")));
    let (built, _) = bench.build(&bench.apart(bench.real()), &plan, None);
    assert!(matches!(&built, Err(BuildError::Failed(text)) if text.contains("not built on AWS")), "{built:?}");
    Ok(())
}

/// The cache's key of an entry: the project's folder and 64 digits.
const ENTRY: &str =
    "cache/148de9c5a7a44d19e56cd9ae1a554bf6/0000000000000000000000000000000000000000000000000000000000000001.zip";

fn keeps(bench: &Bench) -> std::result::Result<(), Failed> {
    let memory = bench.memory.clone();
    let told = Scripted(Box::new(move |order| {
        let keep = |key: &str, place: usize| {
            memory.insert(&order.keeps[place].url, "kept");
            Kept { key: key.into(), length: 4, place }
        };
        let kept = vec![keep(ENTRY, 0), keep("cache/other/1.zip", 1), keep("projects/p/artifacts/1", 2)];
        vec![line(&Said::Done(Outcome { kept, ..Outcome::default() }))]
    }));
    let plan = plan(function("python3.12", None));
    bench.build(&bench.apart(Arc::new(told)), &plan, None).0?;
    assert_eq!(bench.memory.names(""), [ENTRY], "it is kept, and nothing else is written");
    let again = Scripted(Box::new(|order| {
        assert_eq!(order.cache.keys().collect::<Vec<_>>(), [ENTRY]);
        vec![line(&Said::Done(Outcome::default()))]
    }));
    bench.build(&bench.apart(Arc::new(again)), &plan, None).0?;
    Ok(())
}

fn dishonest(bench: &Bench) -> std::result::Result<(), Failed> {
    let body = b"not a zip";
    let honest =
        Upload { name: "F".into(), kind: PackageKind::Function, sha256: Sha256Digest::of(body), length: 9, place: 0 };
    let cases = [
        Upload { name: "Other".into(), ..honest.clone() },
        Upload { kind: PackageKind::Layer, ..honest.clone() },
        Upload { name: "site".into(), kind: PackageKind::Site, ..honest.clone() },
        Upload { place: 7, ..honest.clone() },
        Upload { length: 8, ..honest.clone() },
        Upload { sha256: Sha256Digest::of(b""), ..honest.clone() },
        honest,
    ];
    for upload in cases {
        let (memory, shown) = (bench.memory.clone(), upload.clone());
        let told = Scripted(Box::new(move |order| {
            memory.insert(&order.packages[0].url, &body[..]);
            vec![line(&Said::Done(Outcome { packages: vec![upload.clone()], ..Outcome::default() }))]
        }));
        let plan = Plan { front_end: false, ..plan(function("python3.12", None)) };
        let (built, _) = bench.build(&bench.apart(Arc::new(told)), &plan, None);
        assert!(matches!(&built, Err(BuildError::Cloud(_) | BuildError::Failed(_))), "{shown:?}: {built:?}");
    }
    Ok(())
}

fn cut_off(bench: &Bench) -> std::result::Result<(), Failed> {
    let told = Scripted(Box::new(|_| vec![line(&Said::Line("begun".into()))]));
    let (built, log) = bench.build(&bench.apart(Arc::new(told)), &plan(function("python3.12", None)), None);
    assert!(matches!(built, Err(BuildError::Cloud(Error::Unclear(_)))), "{built:?}");
    assert_eq!(log, ["begun"]);
    Ok(())
}

fn ended(bench: &Bench) -> std::result::Result<(), Failed> {
    let told = Scripted(Box::new(|_| vec![Err(Error::Invalid("Runtime.ExitError signal: killed".into()))]));
    let (built, _) = bench.build(&bench.apart(Arc::new(told)), &plan(function("python3.12", None)), None);
    assert!(
        matches!(&built, Err(BuildError::Failed(text)) if text.contains("killed") && text.contains("3 GB")),
        "{built:?}"
    );
    Ok(())
}
