//! A build job: a commit becomes artifacts.

use std::path::Path;
use std::str::FromStr;

use cloud::{PutCondition, PutOptions, UnsupportedItem};
use domain::{Artifact, ArtifactKind, Build, artifact_key};
use futures::StreamExt;
use git_store::Oid;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::build::{BuildError, Package, PackageKind, Plan, Request};
use crate::smudge;
use crate::source::Commit;
use crate::worker::{Run, Stop};

/// Builds the job's commit; the answer is the job's result.
pub(crate) async fn build(run: &Run<'_>) -> Result<Value, Stop> {
    let (commit, built) = build_commit(run).await?;
    Ok(json!({
        "commit": commit,
        "artifacts": built.artifacts,
        "unsupported": built.unsupported,
        "notes": built.notes,
    }))
}

/// Checks the job's commit out, builds it, and keeps the artifacts and what there is to say of them.
pub(crate) async fn build_commit(run: &Run<'_>) -> Result<(String, Build), Stop> {
    let domain = &run.worker.domain;
    let builder = run.worker.builder.as_ref().map_err(Stop::failed)?;
    let commit = run.job.commit.clone().ok_or_else(|| Stop::failed("the job names no commit"))?;
    let oid = Oid::from_str(&commit).map_err(Stop::failed)?;

    run.progress("checkout", 0, None, "Checking out").await;
    run.say(format!("checking out {commit}")).await;
    tokio::fs::create_dir_all(&run.worker.work).await.map_err(platform)?;
    let folder = tempfile::Builder::new().prefix("build-").tempdir_in(&run.worker.work).map_err(platform)?;
    let checkout = folder.path().join("source");
    domain.repository.checkout(&run.lease.project, oid, &checkout).await?;
    smudge::smudge(run, &checkout).await?;

    let environment = run.job.kind.environment().map(|name| name.as_str());
    let source = Commit { domain, project: &run.lease.project, oid }.app(environment).await.map_err(refused)?;
    let stack = cloud::StackName::parse("build").expect("a plain word is a stack name");
    let (app, mut notes) = source.resolve_all(&stack).map_err(refused)?;

    match domain.usage.refuse_full(&run.lease.project).await {
        Err(error @ domain::Error::Quota(_)) => return Err(Stop::failed(error)),
        other => other?,
    }
    run.progress("build", 0, None, "Building").await;
    let scratch = folder.path().join("scratch");
    tokio::fs::create_dir(&scratch).await.map_err(platform)?;
    let (plan, attempt) = (Plan::of(&app), run.id());
    let request = Request {
        root: &checkout,
        base: &checkout.join(&source.folder),
        plan: &plan,
        scratch: &scratch,
        project: run.lease.project.as_str(),
        run: &attempt,
        blobs: Some(domain.blobs().clone()),
    };
    let built = builder.build(&request, &run.output).await.map_err(stopped)?;

    run.progress("store", 0, None, "Storing artifacts").await;
    let mut artifacts = Vec::new();
    for package in &built.packages {
        artifacts.push(store(run, package).await?);
    }
    notes.extend(built.notes);
    let kept = Build { artifacts, unsupported: unsupported(&app), notes };
    domain.releases.remember_build(run.lease, &commit, &kept).await?;
    run.say(format!("built {} artifacts", kept.artifacts.len())).await;
    Ok((commit, kept))
}

pub(crate) fn unsupported(app: &sam::App) -> Vec<UnsupportedItem> {
    let item = |found: &sam::Unsupported| UnsupportedItem {
        resource: found.resource.clone(),
        kind: found.kind.clone(),
        property: found.property.clone(),
        reason: found.reason.clone(),
    };
    app.unsupported.iter().map(item).collect()
}

/// Keeps a package under its digest. The same bytes are stored once.
async fn store(run: &Run<'_>, package: &Package) -> Result<Artifact, Stop> {
    let key = artifact_key(&run.lease.project, package.sha256)?;
    let options = PutOptions {
        condition: PutCondition::IfAbsent,
        content_type: Some("application/zip".into()),
        length: Some(package.length),
        sha256: Some(package.sha256),
        ..PutOptions::default()
    };
    let body = open(&package.file).await?;
    match run.worker.domain.blobs().put_stream(&key, body, options).await {
        Err(error) if !error.is_condition_failed() => return Err(Stop::Platform(error.into())),
        _ => {}
    }
    run.say(format!("stored {} ({} bytes, sha256 {})", package.name, package.length, package.sha256)).await;
    Ok(Artifact {
        name: package.name.clone(),
        kind: kind(package.kind),
        sha256: package.sha256,
        length: package.length,
    })
}

fn kind(kind: PackageKind) -> ArtifactKind {
    match kind {
        PackageKind::Function => ArtifactKind::Function,
        PackageKind::Layer => ArtifactKind::Layer,
        PackageKind::Site => ArtifactKind::Site,
    }
}

fn stopped(error: BuildError) -> Stop {
    match error {
        BuildError::Stopped => Stop::Cancelled,
        BuildError::Failed(text) => Stop::failed(text),
        BuildError::Io { source, .. } => platform(source),
        BuildError::Cloud(error) => Stop::Platform(error.into()),
    }
}

async fn open(file: &Path) -> Result<cloud::BlobStream, Stop> {
    let file = tokio::fs::File::open(file).await.map_err(platform)?;
    Ok(ReaderStream::with_capacity(file, 256 * 1024).boxed())
}

pub(crate) fn refused(error: crate::source::SourceError) -> Stop {
    match error {
        crate::source::SourceError::Repository(error) => Stop::Platform(error),
        other => Stop::failed(other),
    }
}

pub(crate) fn platform(error: std::io::Error) -> Stop {
    Stop::Platform(domain::Error::internal("working on a job's files", error))
}
