use std::time::Duration;

use domain::{Domain, EnvironmentName, Job, JobState, LEASE, Lease, PageQuery, Project, Publish, Result, Started};
use serde_json::json;

use crate::house::{Trial, at_every_call};
use crate::world::ports::stack;

#[tokio::test]
async fn a_deploy_is_asked_for_together_with_its_environment_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.project().await;
        let slug = project.slug.as_str();
        let publish = || Publish::Reference("main".into());
        let sound = &at.world.domain;
        let job = match at.strike(at.shaky.environments.publish(&at.ada, slug, "dev", publish())).await {
            Some(job) => job,
            None => {
                let page = PageQuery::default();
                assert_eq!(sound.environments.list(&at.ada, slug, &page).await.unwrap().items, []);
                assert_eq!(at.jobs(&project).await, (Vec::new(), 0));
                sound.environments.publish(&at.ada, slug, "dev", publish()).await.unwrap()
            }
        };
        let again = sound.environments.publish(&at.ada, slug, "dev", publish()).await.unwrap_err();
        assert!(again.to_string().contains(job.id.as_str()), "{again}: which job is at it");
        assert_eq!(sound.environments.get(&at.ada, slug, "dev").await.unwrap().job, Some(job.id.clone()));
        assert_eq!(at.jobs(&project).await, (vec![job.clone()], 1));
        assert_eq!(at.told(&project), ["project.created", "job.created"]);
        sound.jobs.cancel(&at.ada, slug, job.id.as_str()).await.unwrap();
        at.has_ended(&project, &job, JobState::Cancelled).await;
    })
    .await;
}

/// What a worker does once the stack serves: the release, the environment and the job's end.
async fn release(domain: &Domain, at: &Trial<'_>, project: &Project, lease: &Lease, job: &Job) -> Result<Job> {
    let commit = job.commit.as_deref().unwrap();
    let name = EnvironmentName::parse("dev")?;
    let artifacts = vec![at.world.artifact(project).await];
    let release = domain.releases.create(lease, commit, &lease.job, artifacts, 0).await?;
    let target = domain.environments.target(lease, &name).await?;
    let stack = stack(&target.stack, release.id.as_str());
    domain.environments.set_release(lease, &name, &release.id, &stack, json!({ "url": stack.url })).await
}

#[tokio::test]
async fn a_release_is_published_with_its_environment_and_the_end_of_its_job_or_not_at_all() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.project().await;
        let (slug, sound) = (project.slug.as_str(), &at.world.domain);
        let publish = Publish::Reference("main".into());
        let job = sound.environments.publish(&at.ada, slug, "dev", publish).await.unwrap();
        at.world.jobs.drain();
        let lease = at.world.start(&job).await;
        let done = at.strike(release(&at.shaky, at, &project, &lease, &job)).await;
        let environment = sound.environments.get(&at.ada, slug, "dev").await.unwrap();
        let ended = at.job(&job).await;
        assert_eq!((environment.release.is_some(), ended.state.is_final()), (done.is_some(), done.is_some()));
        assert_eq!(at.told(&project).contains(&"release.published".to_owned()), done.is_some());
        if done.is_none() {
            at.world.clock.advance(LEASE + Duration::from_secs(1));
            sound.jobs.sweep().await.unwrap();
            assert_eq!(at.world.jobs.drain().len(), 1, "the job of a worker that went is given to another");
            let Started::Run(_, next) = sound.jobs.start(&project.id, &job.id).await.unwrap() else { panic!() };
            release(sound, at, &project, &next, &job).await.unwrap();
        }
        assert!(matches!(sound.jobs.start(&project.id, &job.id).await.unwrap(), Started::Finished(_)));
        at.has_ended(&project, &job, JobState::Succeeded).await;
        let releases = sound.releases.list(&at.ada, slug, &PageQuery::default()).await.unwrap().items;
        let serving = sound.environments.get(&at.ada, slug, "dev").await.unwrap();
        assert_eq!(releases.iter().map(|release| Some(release.id.clone())).collect::<Vec<_>>(), [serving.release]);
        assert_eq!(at.told(&project).iter().filter(|kind| *kind == "release.published").count(), 1);
    })
    .await;
}
