//! A deploy job: a commit, build or release serves in an environment.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use cloud::{BlobKey, DeployRun, DeployStack, EventSink, PlannedChange, StackEvent};
use domain::{
    Artifact, ArtifactKind, Build, DeploySource, DeployTarget, EnvironmentName, JobId, Release, artifact_key,
};
use futures::StreamExt;
use git_store::Oid;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::building::{build_commit, refused};
use crate::fences::Fences;
use crate::source::Commit;
use crate::worker::{Applying, Run, Stop};

/// How often the last told event is kept for the worker after this one.
const CHECKPOINT: Duration = Duration::from_secs(5);

/// Deploys; the job's end is written together with the environment, so there is nothing left to end.
pub(crate) async fn deploy(
    run: &Run<'_>,
    environment: &EnvironmentName,
    what: &DeploySource,
) -> Result<Option<Value>, Stop> {
    let domain = &run.worker.domain;
    let target = match domain.environments.target(run.lease, environment).await {
        // An admin has to look after the target: the same again would end the same.
        Err(domain::Error::Conflict(text)) => return Err(Stop::failed(text)),
        other => other?,
    };
    let commit = run.job.commit.as_deref().ok_or_else(|| Stop::failed("the job names no commit"))?;
    let oid = Oid::from_str(commit).map_err(Stop::failed)?;
    let source = Commit { domain, project: &run.lease.project, oid };
    let source = source.app(Some(environment.as_str())).await.map_err(refused)?;
    let fences = Fences::around(&target, environment);
    // Looked at before anything is built, and as CloudFormation makes it of that before anything is changed.
    let template = fences.checked(&source)?;
    let app = source.resolve(&target.stack).map_err(refused)?;
    let (release, notes) = release(run, what).await?;

    run.progress("deploy", 0, None, format!("Deploying to {environment}")).await;
    run.say(format!("deploying release {} to {environment}", release.id)).await;
    let mut tags = source.settings.tags.clone();
    tags.insert("workroom:release".into(), release.id.to_string());
    tags.extend(fences.tags(&target, environment));
    let (packages, site) = packages(run, &release.artifacts)?;
    if let Some(missing) = app.functions.keys().chain(app.layers.keys()).find(|id| !packages.contains_key(*id)) {
        return Err(Stop::failed(format!(
            "the build has no artifact of {missing}: name {environment} in samconfig.toml, so that it is built for it too"
        )));
    }
    let inspect = fences.inspect(&source.settings.parameter_overrides, &packages);
    let token = run.job.id.to_string();
    let told = run.job.checkpoint["told"].as_str().map(str::to_owned);
    let stack = DeployStack {
        name: target.stack.clone(),
        host_label: target.host_label.clone(),
        release: release.id.to_string(),
        template,
        parameters: source.settings.parameter_overrides.clone(),
        tags,
        packages,
        site,
        run: DeployRun { token, told, inspect },
    };
    let (stack, plan) = applied(run, &target, stack).await?;
    let result = json!({
        "release": release.id,
        "commit": release.commit,
        "environment": environment,
        "target": target.target.as_ref().map_or(domain::DEFAULT_TARGET, |target| target.name.as_str()),
        "url": stack.url,
        "outputs": stack.outputs,
        "functions": stack.functions,
        "unsupported": stack.unsupported,
        "notes": notes,
        "plan": plan,
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

/// What a deploy told on its way.
#[derive(Default)]
struct Told {
    plan: Vec<PlannedChange>,
    /// The newest state of the stack itself.
    status: Option<String>,
}

/// Applies the template while its events become lines of the log. The answer has the plan.
async fn applied(
    run: &Run<'_>,
    target: &DeployTarget,
    what: DeployStack,
) -> Result<(cloud::Stack, Vec<PlannedChange>), Stop> {
    let (sink, events): (EventSink, _) = futures::channel::mpsc::unbounded();
    let (stacks, stack) = (target.stacks.clone(), target.stack.clone());
    run.follow(Applying { stacks, stack, checkpoint: run.job.checkpoint.clone() });
    let (outcome, told) = futures::join!(target.stacks.deploy(what, sink), tell(run, target, events));
    let failed = |error: String| {
        let rolled_back = told.status.as_deref().is_some_and(|status| status.ends_with("ROLLBACK_COMPLETE"));
        let result = json!({ "plan": told.plan, "stack_status": told.status, "rolled_back": rolled_back });
        Stop::Failed { error, result }
    };
    match outcome {
        Ok(stack) => Ok((stack, told.plan)),
        Err(cloud::Error::Invalid(text)) => Err(failed(text)),
        Err(cloud::Error::NotFound(what)) => Err(failed(format!("`{what}` does not exist"))),
        Err(other) => Err(Stop::Platform(other.into())),
    }
}

async fn tell(
    run: &Run<'_>,
    target: &DeployTarget,
    mut events: impl futures::Stream<Item = StackEvent> + Unpin,
) -> Told {
    let mut told = Told { plan: planned_before(&run.job.checkpoint), status: None };
    let (mut kept, mut planned) = (Instant::now(), false);
    while let Some(event) = events.next().await {
        if let Some(change) = &event.change {
            // A plan that is told anew takes the place of the one before.
            if !std::mem::replace(&mut planned, true) {
                told.plan.clear();
            }
            told.plan.push(change.clone());
        } else if event.resource == target.stack.as_str() && event.status != "NOTE" {
            told.status = Some(event.status.clone());
        }
        run.say(line(&event)).await;
        if event.status.ends_with("_COMPLETE") || event.change.is_some() {
            let message = format!("{} {}", event.status, event.resource);
            let total = u32::try_from(told.plan.len()).ok().filter(|planned| *planned > 0);
            run.progress("deploy", 0, total, message).await;
        }
        if event.id.is_empty() && event.change.is_none() {
            continue;
        }
        let checkpoint = json!({ "told": event.id, "plan": told.plan });
        run.remember(checkpoint.clone());
        if kept.elapsed() > CHECKPOINT {
            kept = Instant::now();
            if let Err(error) = run.worker.domain.jobs.checkpoint(run.lease, checkpoint).await {
                tracing::warn!(%error, job = %run.job.id, "the last told event was not kept");
            }
        }
    }
    told
}

/// The plan that a worker before this one told.
fn planned_before(checkpoint: &Value) -> Vec<PlannedChange> {
    serde_json::from_value(checkpoint["plan"].clone()).unwrap_or_default()
}

fn line(event: &StackEvent) -> String {
    if let Some(change) = &event.change {
        let replaced = change.replacement.as_deref().is_some_and(|replacement| replacement != "False");
        let replaced = if replaced { ", replaced" } else { "" };
        return format!("plan: {} {} ({}{replaced})", change.action, change.resource, change.kind);
    }
    let reason = event.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{} {}{reason}", event.status, event.resource)
}
