use std::time::Duration;

use domain::{Build, Domain, Error, Job, JobState, LEASE, Lease, Outcome, Progress, Project, Result, Started};
use serde_json::json;

use crate::house::{Trial, at_every_call};

/// Longer than a message that nobody took is left alone.
const A_WHILE: Duration = Duration::from_secs(300);

/// A worker's whole run of one message; `false` when the message was not for it.
async fn work(domain: &Domain, job: &Job) -> Result<bool> {
    let Started::Run(_, lease) = domain.jobs.start(&job.project, &job.id).await? else { return Ok(false) };
    let progress = Progress { phase: "build".into(), done: 1, total: Some(2), message: "half".into() };
    domain.jobs.progress(&lease, progress).await?;
    domain.jobs.log(&lease, &["a line".into()]).await?;
    domain.releases.remember_build(&lease, job.commit.as_deref().unwrap(), &Build::default()).await?;
    domain.jobs.heartbeat(&lease).await?;
    domain.jobs.finish(&lease, Outcome::Succeeded { result: json!({ "done": true }) }).await.map(|_| true)
}

/// Delivers what is in the queue to sound workers, and sweeps, until the job has ended.
async fn goes_on(at: &Trial<'_>, project: &Project, job: &Job) {
    for _ in 0..4 {
        for message in at.world.jobs.drain() {
            assert_eq!(message["job"], job.id.as_str());
            work(&at.world.domain, job).await.unwrap();
        }
        if at.job(job).await.state.is_final() {
            break;
        }
        at.world.clock.advance(A_WHILE);
        at.world.domain.jobs.sweep().await.unwrap();
    }
    at.has_ended(project, job, JobState::Succeeded).await;
    at.world.clock.advance(A_WHILE);
    assert_eq!(at.world.domain.jobs.sweep().await.unwrap(), domain::Swept::default());
}

/// A build whose message has not left.
async fn unsent(at: &Trial<'_>) -> (Project, Job) {
    let project = at.project().await;
    *at.world.jobs.away.lock().unwrap() = true;
    let job = at.world.domain.jobs.build(&at.ada, project.slug.as_str(), None).await.unwrap();
    *at.world.jobs.away.lock().unwrap() = false;
    (project, job)
}

async fn leased(at: &Trial<'_>) -> (Project, Job, Lease) {
    let project = at.project().await;
    let job = at.world.domain.jobs.build(&at.ada, project.slug.as_str(), None).await.unwrap();
    at.world.jobs.drain();
    let lease = at.world.start(&job).await;
    (project, job, lease)
}

#[tokio::test]
async fn a_build_is_asked_for_once_and_its_message_leaves_in_the_end() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.project().await;
        let slug = project.slug.as_str();
        let job = match at.strike(at.shaky.jobs.build(&at.ada, slug, None)).await {
            Some(job) => job,
            None => {
                assert_eq!(at.jobs(&project).await, (Vec::new(), 0));
                assert_eq!(at.told(&project), ["project.created"]);
                at.world.domain.jobs.build(&at.ada, slug, None).await.unwrap()
            }
        };
        assert_eq!(at.jobs(&project).await, (vec![job.clone()], 1));
        assert_eq!(at.told(&project), ["project.created", "job.created"]);
        at.world.domain.jobs.ensure_sent(&project.id, &job.id).await.unwrap();
        goes_on(at, &project, &job).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_did_not_leave_is_sent_by_the_consumer_of_the_event_or_its_next_try() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job) = unsent(at).await;
        assert!(at.world.jobs.drain().is_empty());
        let sent = at.strike(at.shaky.jobs.ensure_sent(&project.id, &job.id)).await;
        if sent.is_none() {
            // The change feed gives the event again.
            at.world.domain.jobs.ensure_sent(&project.id, &job.id).await.unwrap();
        }
        let messages = at.world.jobs.drain();
        assert!((1..=2).contains(&messages.len()), "{messages:?}");
        for _ in messages {
            work(&at.world.domain, &job).await.unwrap();
        }
        at.has_ended(&project, &job, JobState::Succeeded).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_did_not_leave_is_sent_by_a_sweep() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job) = unsent(at).await;
        at.world.clock.advance(A_WHILE);
        at.strike(at.shaky.jobs.sweep()).await;
        goes_on(at, &project, &job).await;
    })
    .await;
}

#[tokio::test]
async fn an_overdue_job_is_ended_once() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job) = unsent(at).await;
        at.world.clock.advance(Duration::from_secs(2 * 60 * 60));
        at.strike(at.shaky.jobs.sweep()).await;
        at.world.domain.jobs.sweep().await.unwrap();
        at.has_ended(&project, &job, JobState::TimedOut).await;
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_fails_anywhere_leaves_a_job_that_ends_once() {
    at_every_call(async |at: &Trial<'_>| {
        let project = at.project().await;
        let job = at.world.domain.jobs.build(&at.ada, project.slug.as_str(), None).await.unwrap();
        assert_eq!(at.world.jobs.drain().len(), 1);
        let ran = at.strike(work(&at.shaky, &job)).await;
        if ran.is_some() {
            at.has_ended(&project, &job, JobState::Succeeded).await;
        }
        goes_on(at, &project, &job).await;
        let ended = at.job(&job).await;
        assert!(ended.attempt <= 2 && ended.result == json!({ "done": true }), "{ended:?}");
        let (_, build) =
            at.world.domain.releases.build_of(&project.id, job.commit.as_deref().unwrap()).await.unwrap().unwrap();
        assert_eq!(build, Build::default());
    })
    .await;
}

#[tokio::test]
async fn a_job_is_finished_once_and_says_so_to_who_asks_again() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job, lease) = leased(at).await;
        let failed = || Outcome::Failed { error: "no".into(), result: json!({ "why": 1 }) };
        let done = at.strike(at.shaky.jobs.finish(&lease, failed())).await;
        let ended = at.job(&job).await;
        assert_eq!(ended.state.is_final(), done.is_some(), "an answer of failure has changed nothing");
        let again = at.world.domain.jobs.finish(&lease, failed()).await;
        match done {
            Some(done) => {
                assert_eq!(done, ended);
                assert!(matches!(again, Err(Error::Conflict(_))));
            }
            None => assert_eq!(again.unwrap().state, JobState::Failed),
        }
        at.has_ended(&project, &job, JobState::Failed).await;
    })
    .await;
}

#[tokio::test]
async fn a_cancel_is_heard_once_and_ends_a_job_that_waits() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job) = unsent(at).await;
        let (slug, id) = (project.slug.as_str(), job.id.as_str());
        let cancelled = at.strike(at.shaky.jobs.cancel(&at.ada, slug, id)).await;
        assert_eq!(at.job(&job).await.state == JobState::Cancelled, cancelled.is_some());
        let again = at.world.domain.jobs.cancel(&at.ada, slug, id).await.unwrap();
        assert_eq!(again.state, JobState::Cancelled);
        at.has_ended(&project, &job, JobState::Cancelled).await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_is_handed_over_is_gone_on_with() {
    at_every_call(async |at: &Trial<'_>| {
        let (project, job, lease) = leased(at).await;
        at.strike(at.shaky.jobs.hand_over(&lease, json!({ "change": "set" }))).await;
        let now = at.job(&job).await;
        assert!(now.checkpoint == json!({ "change": "set" }) || now.checkpoint.is_null());
        at.world.clock.advance(LEASE + Duration::from_secs(1));
        goes_on(at, &project, &job).await;
    })
    .await;
}
