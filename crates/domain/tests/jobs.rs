//! Jobs: exactly one final state, whatever is delivered twice, dies or is cancelled.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use domain::{ATTEMPTS_MAX, Error, JobState, LEASE, LeaseState, LogsQuery, Outcome, Progress, Quotas, Started};
use serde_json::json;
use world::World;

async fn build(world: &World) -> (domain::Caller, domain::Project, domain::Job) {
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    (ada, project, job)
}

#[tokio::test]
async fn a_job_runs_once_and_ends_once() {
    let world = World::new();
    let (ada, _, job) = build(&world).await;
    let message = json!({ "project": job.project, "job": job.id, "correlation_id": ada.correlation_id });
    assert_eq!(world.jobs.drain(), [message]);
    let lease = world.start(&job).await;
    assert!(matches!(world.domain.jobs.start(&job.project, &job.id).await.unwrap(), Started::Busy));
    let done = world.succeed(&lease).await;
    assert_eq!((done.state, &done.result), (JobState::Succeeded, &json!({ "done": true })));
    assert!(matches!(world.domain.jobs.start(&job.project, &job.id).await.unwrap(), Started::Finished(_)));
    let again = world.domain.jobs.finish(&lease, Outcome::TimedOut).await.unwrap_err();
    assert!(matches!(again, Error::Conflict(_)));
    assert_eq!(world.domain.jobs.get(&ada, "shop", job.id.as_str()).await.unwrap(), done);
}

#[tokio::test]
async fn of_two_deliveries_at_once_one_runs() {
    let world = World::new();
    let (_, _, job) = build(&world).await;
    let starts = (0..8).map(|_| world.domain.jobs.start(&job.project, &job.id));
    let started = futures::future::join_all(starts).await;
    let running = started.iter().filter(|s| matches!(s, Ok(Started::Run(..)))).count();
    assert_eq!(running, 1);
}

#[tokio::test]
async fn a_job_of_a_dead_worker_is_taken_over_and_the_dead_one_cannot_end_it() {
    let world = World::new();
    let (_, _, job) = build(&world).await;
    let dead = world.start(&job).await;
    world.clock.advance(LEASE + Duration::from_secs(1));
    let alive = world.start(&job).await;
    assert_eq!(alive.attempt, 2);
    assert_eq!(world.domain.jobs.heartbeat(&dead).await.unwrap(), LeaseState::Lost);
    let late = Outcome::Failed { error: "late".into(), result: json!(null) };
    assert!(world.domain.jobs.finish(&dead, late).await.is_err());
    assert_eq!(world.succeed(&alive).await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_heartbeat_keeps_the_lease() {
    let world = World::new();
    let (_, _, job) = build(&world).await;
    let lease = world.start(&job).await;
    for _ in 0..5 {
        world.clock.advance(LEASE * 2 / 3);
        assert_eq!(world.domain.jobs.heartbeat(&lease).await.unwrap(), LeaseState::Held);
    }
    assert!(matches!(world.domain.jobs.start(&job.project, &job.id).await.unwrap(), Started::Busy));
}

#[tokio::test]
async fn a_process_that_starts_alone_takes_running_jobs_over_at_once() {
    let world = World::new();
    let (_, _, job) = build(&world).await;
    let dead = world.start(&job).await;
    assert_eq!(world.domain.jobs.take_over().await.unwrap().sent, 1);
    let alive = world.start(&job).await;
    assert_eq!(alive.attempt, 2);
    assert_eq!(world.domain.jobs.heartbeat(&dead).await.unwrap(), LeaseState::Lost);
}

#[tokio::test]
async fn a_job_whose_workers_all_die_fails() {
    let world = World::new();
    let (_, _, job) = build(&world).await;
    for _ in 0..ATTEMPTS_MAX {
        world.start(&job).await;
        world.clock.advance(LEASE + Duration::from_secs(1));
    }
    let Started::Finished(ended) = world.domain.jobs.start(&job.project, &job.id).await.unwrap() else { panic!() };
    assert_eq!(ended.state, JobState::Failed);
}

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_a_running_one_by_its_worker() {
    let world = World::new();
    let (ada, _, job) = build(&world).await;
    let cancelled = world.domain.jobs.cancel(&ada, "shop", job.id.as_str()).await.unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);

    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let lease = world.start(&job).await;
    let asked = world.domain.jobs.cancel(&ada, "shop", job.id.as_str()).await.unwrap();
    assert_eq!((asked.state, asked.cancel_requested), (JobState::Running, true));
    assert!(world.domain.jobs.is_cancelled(&lease).await.unwrap());
    assert_eq!(world.domain.jobs.heartbeat(&lease).await.unwrap(), LeaseState::CancelRequested);
    let killed = Outcome::Failed { error: "killed".into(), result: json!(null) };
    let ended = world.domain.jobs.finish(&lease, killed).await.unwrap();
    assert_eq!(ended.state, JobState::Cancelled);
    let stays = world.domain.jobs.cancel(&ada, "shop", job.id.as_str()).await.unwrap();
    assert_eq!(stays, ended);
}

#[tokio::test]
async fn a_job_whose_message_was_lost_is_sent_by_the_feed_or_the_sweep() {
    let world = World::new();
    *world.jobs.away.lock().unwrap() = true;
    let (ada, project, job) = build(&world).await;
    assert!(world.jobs.drain().is_empty());
    *world.jobs.away.lock().unwrap() = false;
    world.domain.jobs.ensure_sent(&project.id, &job.id).await.unwrap();
    world.domain.jobs.ensure_sent(&project.id, &job.id).await.unwrap();
    assert_eq!(world.jobs.drain().len(), 1);

    assert_eq!(world.domain.jobs.sweep().await.unwrap().sent, 0);
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(world.domain.jobs.sweep().await.unwrap().sent, 1);
    assert_eq!(world.jobs.drain().len(), 1);

    world.clock.advance(Duration::from_secs(2 * 60 * 60));
    assert_eq!(world.domain.jobs.sweep().await.unwrap().ended, 1);
    let ended = world.domain.jobs.get(&ada, "shop", job.id.as_str()).await.unwrap();
    assert_eq!(ended.state, JobState::TimedOut);
    assert_eq!(world.domain.jobs.sweep().await.unwrap(), domain::Swept::default());
}

#[tokio::test]
async fn every_change_of_a_job_is_an_event_in_order() {
    let world = World::new();
    let (ada, _, job) = build(&world).await;
    let lease = world.start(&job).await;
    let progress = Progress { phase: "build".into(), done: 1, total: Some(2), message: "half".into() };
    world.domain.jobs.progress(&lease, progress).await.unwrap();
    world.succeed(&lease).await;
    let events = world.domain.events.list(&ada, "shop", &Default::default()).await.unwrap().items;
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["project.created", "job.created", "job.updated", "job.updated", "job.updated"]);
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    assert_eq!(events[4].detail["state"], "succeeded");
    assert_eq!(events[1].actor, ada.principal.account.as_str());
    assert_eq!(events[1].correlation_id, ada.correlation_id);
}

#[tokio::test]
async fn a_log_is_read_on_from_its_cursor_and_is_that_jobs_alone() {
    let world = World::new();
    let (ada, _, job) = build(&world).await;
    let lease = world.start(&job).await;
    let other = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let other = world.start(&other).await;
    world.domain.jobs.log(&lease, &["one".into()]).await.unwrap();
    world.domain.jobs.log(&other, &["not mine".into()]).await.unwrap();
    let read = world.domain.logs.job(&ada, "shop", job.id.as_str(), &LogsQuery::default()).await.unwrap();
    world.domain.jobs.log(&lease, &["two".into(), "x".repeat(300 * 1024)]).await.unwrap();
    let on = LogsQuery { cursor: Some(read.next.clone()), ..LogsQuery::default() };
    let more = world.domain.logs.job(&ada, "shop", job.id.as_str(), &on).await.unwrap();
    let text = |lines: &[domain::LogLine]| lines.iter().map(|line| line.message.clone()).collect::<Vec<_>>();
    assert_eq!(text(&read.lines), ["one"]);
    assert_eq!(more.lines[0].message, "two");
    assert!(more.lines[1].message.len() < 256 * 1024);
    let forged = LogsQuery { cursor: Some("elsewhere".into()), ..LogsQuery::default() };
    let refused = world.domain.logs.job(&ada, "shop", job.id.as_str(), &forged).await.unwrap_err();
    assert!(matches!(refused, Error::Invalid { .. }));
}

#[tokio::test]
async fn a_project_has_so_many_open_jobs_and_no_more() {
    let world = World::with(Quotas { open_jobs_per_project: 2, ..Quotas::default() });
    let (ada, _, job) = build(&world).await;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    assert!(matches!(world.domain.jobs.build(&ada, "shop", None).await, Err(Error::Quota(_))));
    let lease = world.start(&job).await;
    world.succeed(&lease).await;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
}
