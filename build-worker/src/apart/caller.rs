//! The worker's side: sends the checkout, hears the answer, and looks at what comes back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cloud::{BlobKey, Blobs, PresignGet, Presigned, PutOptions, Sha256Digest};
use futures::StreamExt;
use futures::stream::BoxStream;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::answer::Lines;
use super::order::{Kept, Order, Outcome, Said, Source, Upload};
use super::{KEEPS_MAX, PACKAGE_BYTES_MAX};
use crate::build::{
    Build, BuildError, Built, Family, Output, Package, Plan, Request, archive, blocking, cache, check_zip,
};
use crate::mask::Mask;

/// How much of a file is read at a time (bytes).
const CHUNK: usize = 256 * 1024;
/// An address outlives the build that it is for by this much.
const SPARE: Duration = Duration::from_secs(120);
/// What is told of one build, and the longest text of it (bytes).
const NOTES_MAX: usize = 1_000;
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// A function's answer, as it comes. An error of the function itself is `cloud::Error::Invalid` with its text.
pub type AnswerStream = BoxStream<'static, cloud::Result<Bytes>>;

/// The functions that build, one for each language.
#[async_trait]
pub trait BuildFunctions: Send + Sync {
    /// Calls one in an execution environment that no other tenant uses.
    async fn call(&self, family: Family, tenant: &str, order: Bytes) -> cloud::Result<AnswerStream>;
}

/// Builds in functions apart from this one.
pub struct BuiltApart {
    pub functions: Arc<dyn BuildFunctions>,
    pub blobs: Arc<dyn Blobs>,
    /// The longest build.
    pub time: Duration,
}

/// Where the pieces of one attempt lie; a lifecycle rule of the bucket removes what is forgotten.
fn staged(run: &str, name: &str) -> cloud::Result<BlobKey> {
    BlobKey::parse(format!("builds/{run}/{name}"))
}

const SOURCE: &str = "source.zip";
const STOP: &str = "stop";

fn place(family: Family, what: &str, index: usize) -> String {
    format!("{}-{what}-{index}", family.as_str())
}

#[async_trait]
impl Build for BuiltApart {
    /// No secret of the platform goes to a build.
    fn mask(&self) -> Mask {
        Mask::default()
    }

    async fn build(&self, request: &Request<'_>, output: &Output) -> Result<Built, BuildError> {
        let parts = request.plan.clone().by_family(request.base);
        if parts.is_empty() {
            return Ok(Built::default());
        }
        let mut staged = vec![SOURCE.to_owned()];
        let built = self.build_parts(request, parts, output, &mut staged).await;
        if built.is_err() {
            self.abandon(request.run).await;
        }
        self.forget(request.run, &staged).await;
        built
    }

    async fn abandon(&self, run: &str) {
        let Ok(key) = staged(run, STOP) else { return };
        if let Err(error) = self.blobs.put(&key, Bytes::from_static(b"stop"), PutOptions::default()).await {
            tracing::warn!(%error, run, "a build function could not be asked to stop");
        }
    }
}

impl BuiltApart {
    async fn build_parts(
        &self,
        request: &Request<'_>,
        parts: BTreeMap<Family, Plan>,
        output: &Output,
        staged: &mut Vec<String>,
    ) -> Result<Built, BuildError> {
        let source = self.send_source(request).await?;
        let mut calls = Vec::new();
        for (family, plan) in parts {
            staged.extend((0..plan.packages_max()).map(|index| place(family, "package", index)));
            staged.extend((0..KEEPS_MAX).map(|index| place(family, "keep", index)));
            let order = self.order(request, family, plan.clone(), source.clone()).await?;
            calls.push(self.call(request, family, plan, order, output));
        }
        let mut all = Built::default();
        for built in futures::future::try_join_all(calls).await? {
            all.packages.extend(built.packages);
            all.notes.extend(built.notes);
        }
        Ok(all)
    }

    async fn send_source(&self, request: &Request<'_>) -> Result<Source, BuildError> {
        let zip = request.scratch.join(SOURCE);
        let made = archive(request.root.to_owned(), zip.clone()).await?;
        let key = staged(request.run, SOURCE)?;
        let options = PutOptions { length: Some(made.length), sha256: Some(made.sha256), ..PutOptions::default() };
        self.blobs.put_stream(&key, open(&zip).await?, options).await?;
        tokio::fs::remove_file(&zip).await.map_err(BuildError::io("removing the packed checkout"))?;
        Ok(Source { at: self.readable(&key).await?, sha256: made.sha256 })
    }

    async fn order(
        &self,
        request: &Request<'_>,
        family: Family,
        plan: Plan,
        source: Source,
    ) -> Result<Order, BuildError> {
        let mut kept = BTreeMap::new();
        for key in cache::entries(&self.blobs, request.project).await? {
            kept.insert(key.to_string(), self.readable(&key).await?);
        }
        let base = request.base.strip_prefix(request.root).unwrap_or(Path::new(""));
        Ok(Order {
            version: Order::VERSION,
            project: request.project.to_owned(),
            base: base.to_str().ok_or_else(|| BuildError::failed("the template's folder has no plain name"))?.into(),
            source,
            cache: kept,
            packages: self.places(request.run, family, "package", plan.packages_max()).await?,
            keeps: self.places(request.run, family, "keep", KEEPS_MAX).await?,
            stop: self.readable(&staged(request.run, STOP)?).await?,
            seconds: self.time.as_secs(),
            plan,
        })
    }

    async fn readable(&self, key: &BlobKey) -> cloud::Result<Presigned> {
        let what = PresignGet { expires_in: self.time + SPARE, disposition: None, content_type: None };
        self.blobs.presign_get(key, what).await
    }

    async fn places(&self, run: &str, family: Family, what: &str, count: usize) -> cloud::Result<Vec<Presigned>> {
        let mut places = Vec::new();
        for index in 0..count {
            let key = staged(run, &place(family, what, index))?;
            places.push(self.blobs.presign_put_any(&key, self.time + SPARE).await?);
        }
        Ok(places)
    }

    /// Calls one function and takes what it made.
    async fn call(
        &self,
        request: &Request<'_>,
        family: Family,
        plan: Plan,
        order: Order,
        output: &Output,
    ) -> Result<Built, BuildError> {
        let event = serde_json::to_vec(&order).map_err(|error| BuildError::failed(error.to_string()))?;
        let answer = self.functions.call(family, request.project, event.into()).await.map_err(ended)?;
        let outcome = hear(answer, output).await?;
        let mut fetched = BTreeMap::new();
        let mut packages = Vec::new();
        for upload in outcome.packages {
            check_upload(&upload, &plan)?;
            let file = match fetched.get(&upload.place) {
                Some(file) => PathBuf::clone(file),
                None => {
                    let file = self.fetch(request, family, &upload).await?;
                    fetched.insert(upload.place, file.clone());
                    file
                }
            };
            let Upload { name, kind, sha256, length, .. } = upload;
            packages.push(Package { name, kind, file, sha256, length });
        }
        if let Err(error) = self.keep(request, family, outcome.kept).await {
            tracing::warn!(%error, "dependencies are not kept for later builds");
        }
        let notes = outcome.notes.into_iter().take(NOTES_MAX).map(cut).collect();
        Ok(Built { packages, notes })
    }

    /// A package is taken when it is what the function said, and a zip that harms nobody who unpacks it.
    async fn fetch(&self, request: &Request<'_>, family: Family, upload: &Upload) -> Result<PathBuf, BuildError> {
        let name = place(family, "package", upload.place);
        let file = request.scratch.join(format!("{name}.zip"));
        let blob = match self.blobs.get(&staged(request.run, &name)?, None).await {
            Err(cloud::Error::NotFound(_)) => return Err(strange("a package that it told of is not there")),
            other => other?,
        };
        if blob.meta.length != upload.length || blob.meta.length > PACKAGE_BYTES_MAX {
            return Err(strange("a package has another length than it told"));
        }
        let found = write(blob.body, &file).await.map_err(BuildError::io("fetching a package"))?;
        if found != upload.sha256 {
            return Err(strange("a package is not what it told"));
        }
        let checked = file.clone();
        let (name, checked) = (&upload.name, blocking(move || check_zip(&checked)).await?);
        checked.map_err(|error| BuildError::failed(format!("the package of {name} is refused: {error}")))?;
        Ok(file)
    }

    /// Moves what is to be kept to where the project's later builds find it.
    async fn keep(&self, request: &Request<'_>, family: Family, kept: Vec<Kept>) -> cloud::Result<()> {
        for entry in kept.into_iter().take(KEEPS_MAX) {
            let Some(to) = cache::entry_key(request.project, &entry.key) else { continue };
            let blob = self.blobs.get(&staged(request.run, &place(family, "keep", entry.place))?, None).await?;
            if blob.meta.length > cache::ENTRY_BYTES_MAX {
                continue;
            }
            let options = PutOptions { length: Some(blob.meta.length), ..PutOptions::default() };
            self.blobs.put_stream(&to, blob.body, options).await?;
        }
        cache::trim(&self.blobs, request.project).await
    }

    async fn forget(&self, run: &str, names: &[String]) {
        for name in names {
            let Ok(key) = staged(run, name) else { continue };
            if let Err(error) = self.blobs.delete(&key).await {
                // The bucket's lifecycle rule does it a day later.
                tracing::warn!(%error, %key, "a piece of a build stays for now");
                return;
            }
        }
    }
}

/// Passes the log on until the outcome comes.
async fn hear(mut answer: AnswerStream, output: &Output) -> Result<Outcome, BuildError> {
    let mut lines = Lines::default();
    while let Some(part) = answer.next().await {
        let part = part.map_err(ended)?;
        for said in lines.push(&part).map_err(|error| strange(&error.to_string()))? {
            match said {
                Said::Line(line) => output.line(cut(line)).await,
                Said::Alive => {}
                Said::Done(outcome) => return Ok(outcome),
                Said::Failed(text) => return Err(BuildError::Failed(cut(text))),
                Said::Stopped => return Err(BuildError::Stopped),
                Said::Broken(text) => return Err(strange(&cut(text))),
            }
        }
    }
    Err(cloud::Error::Unclear("the build: the function's answer ended early".into()).into())
}

/// A function that ended without an answer: most often it was out of memory or time.
fn ended(error: cloud::Error) -> BuildError {
    match error {
        cloud::Error::Invalid(text) => BuildError::failed(format!(
            "the build was ended: {text}. A build has 15 minutes, 3 GB of memory and 10 GB of disk"
        )),
        other => other.into(),
    }
}

/// The function does not keep to what was agreed: trouble of ours, or of somebody who got hold of it.
fn strange(what: &str) -> BuildError {
    BuildError::Cloud(cloud::Error::other("building apart", what.to_owned()))
}

fn check_upload(upload: &Upload, plan: &Plan) -> Result<(), BuildError> {
    use crate::build::PackageKind::{Function, Layer, Site};
    let known = match upload.kind {
        Function => plan.functions.iter().any(|function| function.logical_id == upload.name),
        Layer => plan.layers.iter().any(|layer| layer.logical_id == upload.name),
        Site => plan.front_end && upload.name == "site",
    };
    if known && upload.place < plan.packages_max() {
        return Ok(());
    }
    Err(strange("it told of a package that nobody asked for"))
}

fn cut(mut text: String) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

async fn open(file: &Path) -> Result<cloud::BlobStream, BuildError> {
    let file = tokio::fs::File::open(file).await.map_err(BuildError::io("reading the packed checkout"))?;
    Ok(ReaderStream::with_capacity(file, CHUNK).boxed())
}

async fn write(mut body: cloud::BlobStream, to: &Path) -> std::io::Result<Sha256Digest> {
    let (mut file, mut hasher) = (tokio::fs::File::create(to).await?, Sha256::new());
    while let Some(part) = body.next().await {
        let part = part?;
        hasher.update(&part);
        file.write_all(&part).await?;
    }
    file.flush().await?;
    Ok(Sha256Digest(hasher.finalize().into()))
}
