//! A deploy job: a commit, build or release serves in an environment.

use std::collections::BTreeMap;
use std::str::FromStr;

use cloud::{BlobKey, DeployStack, EventSink, StackEvent};
use domain::{Artifact, ArtifactKind, Build, DeploySource, EnvironmentName, JobId, Release, artifact_key};
use futures::StreamExt;
use git_store::Oid;
use serde_json::{Value, json};

use crate::building::{build_commit, refused};
use crate::source::Commit;
use crate::worker::{Run, Stop};

/// Deploys; the job's end is written together with the environment, so there is nothing left to end.
pub(crate) async fn deploy(
    run: &Run<'_>,
    environment: &EnvironmentName,
    what: &DeploySource,
) -> Result<Option<Value>, Stop> {
    let domain = &run.worker.domain;
    let (release, notes) = release(run, what).await?;
    let target = domain.environments.target(run.lease, environment).await?;
    let oid = Oid::from_str(&release.commit).map_err(Stop::failed)?;
    let commit = Commit { domain, project: &run.lease.project, oid };
    let source = commit.app(Some(environment.as_str())).await.map_err(refused)?;
    let app = source.resolve(&target.stack).map_err(refused)?;

    run.progress("deploy", 0, None, format!("Deploying to {environment}")).await;
    run.say(format!("deploying release {} to {environment}", release.id)).await;
    let mut tags = source.settings.tags.clone();
    tags.insert("workroom:release".into(), release.id.to_string());
    let (packages, site) = packages(run, &release.artifacts)?;
    if let Some(missing) = app.functions.keys().chain(app.layers.keys()).find(|id| !packages.contains_key(*id)) {
        return Err(Stop::failed(format!(
            "the build has no artifact of {missing}: name {environment} in samconfig.toml, so that it is built for it too"
        )));
    }
    let stack = DeployStack {
        name: target.stack,
        host_label: target.host_label,
        release: release.id.to_string(),
        template: source.template.to_json(),
        parameters: source.settings.parameter_overrides.clone(),
        tags,
        packages,
        site,
        run: cloud::DeployRun { token: run.job.id.to_string(), ..Default::default() },
    };
    let stack = applied(run, stack).await?;
    let result = json!({
        "release": release.id,
        "commit": release.commit,
        "environment": environment,
        "url": stack.url,
        "outputs": stack.outputs,
        "functions": stack.functions,
        "unsupported": stack.unsupported,
        "notes": notes,
    });
    if let Some(url) = &stack.url {
        run.say(format!("serving at {url}")).await;
    }
    domain.environments.set_release(run.lease, environment, &release.id, &stack, result).await?;
    Ok(None)
}

/// The release to deploy, made of the newest build of its commit where there is none yet.
async fn release(run: &Run<'_>, what: &DeploySource) -> Result<(Release, Vec<String>), Stop> {
    let releases = &run.worker.domain.releases;
    if let DeploySource::Release(id) = what {
        let found = releases.get(&run.lease.project, id).await?;
        return Ok((found.ok_or_else(|| Stop::failed("the release is gone"))?, Vec::new()));
    }
    let commit = run.job.commit.clone().ok_or_else(|| Stop::failed("the job names no commit"))?;
    let (job, build) = match releases.build_of(&run.lease.project, &commit).await? {
        Some(found) => found,
        None => (run.job.id.clone(), build_commit(run).await?.1),
    };
    let job: JobId = if let DeploySource::Build(named) = what { named.clone() } else { job };
    let Build { artifacts, notes, .. } = build;
    Ok((releases.create(run.lease, &commit, &job, artifacts, 0).await?, notes))
}

type Packages = (BTreeMap<String, BlobKey>, Option<BlobKey>);

fn packages(run: &Run<'_>, artifacts: &[Artifact]) -> Result<Packages, Stop> {
    let (mut packages, mut site) = (BTreeMap::new(), None);
    for artifact in artifacts {
        let key = artifact_key(&run.lease.project, artifact.sha256)?;
        match artifact.kind {
            ArtifactKind::Site => site = Some(key),
            ArtifactKind::Function | ArtifactKind::Layer => {
                packages.insert(artifact.name.clone(), key);
            }
        }
    }
    Ok((packages, site))
}

/// Applies the template while its events become lines of the log.
async fn applied(run: &Run<'_>, what: DeployStack) -> Result<cloud::Stack, Stop> {
    let (sink, mut events): (EventSink, _) = futures::channel::mpsc::unbounded();
    let telling = async {
        while let Some(event) = events.next().await {
            run.say(line(&event)).await;
        }
    };
    let (outcome, ()) = futures::join!(run.worker.domain.stacks().deploy(what, sink), telling);
    outcome.map_err(|error| match error {
        cloud::Error::Invalid(text) => Stop::failed(text),
        cloud::Error::NotFound(what) => Stop::failed(format!("`{what}` does not exist")),
        other => Stop::Platform(other.into()),
    })
}

fn line(event: &StackEvent) -> String {
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {}{reason}", event.status, event.resource)
}
