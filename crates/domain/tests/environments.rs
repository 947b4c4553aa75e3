//! Releases, environments, invocations, function logs.
#![allow(clippy::unwrap_used)]

mod world;

use cloud::{LogEvent, Logs};
use domain::{Error, Expected, InvocationEvent, JobState, LogsQuery, PageQuery, Publish};
use serde_json::json;
use world::World;

#[tokio::test]
async fn a_deploy_makes_a_release_serve_and_tells_of_it() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let job = world.deploy(&ada, &project, "dev").await;
    assert_eq!(job.state, JobState::Succeeded);
    let environment = world.domain.environments.get(&ada, "shop", "dev").await.unwrap();
    let release = world.domain.releases.list(&ada, "shop", &PageQuery::default()).await.unwrap().items.remove(0);
    assert_eq!(environment.release.as_ref(), Some(&release.id));
    assert_eq!((environment.commit.as_ref(), &release.commit), (Some(&release.commit), job.commit.as_ref().unwrap()));
    assert_eq!(environment.url.as_deref(), Some("http://shop--dev.test/"));
    let events = world.domain.events.list(&ada, "shop", &PageQuery::default()).await.unwrap().items;
    let kinds: Vec<&str> = events.iter().rev().take(2).map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["job.updated", "release.published"]);
}

#[tokio::test]
async fn a_release_of_a_retried_job_is_made_once() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let job = world.domain.environments.publish(&ada, "shop", "dev", Publish::Reference("main".into())).await.unwrap();
    let lease = world.start(&job).await;
    let commit = job.commit.clone().unwrap();
    let artifact = world.artifact(&project).await;
    let first = world.domain.releases.create(&lease, &commit, &lease.job, vec![artifact], 0).await.unwrap();
    let again = world.domain.releases.create(&lease, &commit, &lease.job, Vec::new(), 0).await.unwrap();
    assert_eq!(first, again);
}

#[tokio::test]
async fn an_environment_takes_one_job_at_a_time_and_any_earlier_release() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let publish = || Publish::Reference("main".into());
    let environments = &world.domain.environments;
    let running = environments.publish(&ada, "shop", "dev", publish()).await.unwrap();
    let second = environments.publish(&ada, "shop", "dev", publish()).await.unwrap_err();
    assert!(matches!(second, Error::Conflict(_)));
    world.domain.jobs.cancel(&ada, "shop", running.id.as_str()).await.unwrap();
    world.deploy(&ada, &project, "dev").await;
    let release = environments.get(&ada, "shop", "dev").await.unwrap().release.unwrap();
    environments.publish(&ada, "shop", "dev", Publish::Release(release.to_string())).await.unwrap();
    for (what, name) in [
        (Publish::Release("01ARZ3NDEKTSV4RRFFQ69G5FAV".into()), "release"),
        (Publish::Build("01ARZ3NDEKTSV4RRFFQ69G5FAV".into()), "build"),
        (Publish::Reference("0123456789012345678901234567890123456789".into()), "commit"),
    ] {
        let absent = environments.publish(&ada, "shop", "test", what).await.unwrap_err();
        assert!(matches!(absent, Error::NotFound(found) if found == name), "{absent:?}");
    }
    for name in ["Dev", "a--b", "", "-", "dev-", "../x"] {
        let refused = environments.publish(&ada, "shop", name, publish()).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{name}");
    }
}

#[tokio::test]
async fn a_removed_environment_is_gone_with_its_stack() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    world.deploy(&ada, &project, "dev").await;
    let etag = world.domain.environments.get(&ada, "shop", "dev").await.unwrap().etag;
    let job = world.domain.environments.remove(&ada, "shop", "dev", &Expected::Tag(etag)).await.unwrap();
    let lease = world.start(&job).await;
    assert_eq!(world.domain.perform(&job, &lease).await.unwrap().unwrap().state, JobState::Succeeded);
    assert!(world.stacks.names().is_empty());
    let gone = world.domain.environments.get(&ada, "shop", "dev").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound("environment")));
}

#[tokio::test]
async fn a_function_is_called_with_an_event_or_a_file_of_the_repository() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    world.deploy(&ada, &project, "dev").await;
    let call =
        async |function: &str, event| world.domain.environments.invoke(&ada, "shop", "dev", function, event).await;
    let answer = call("Hello", InvocationEvent::Json(json!({ "a": 1 }))).await.unwrap();
    assert_eq!(&answer.payload[..], br#"{"a":1}"#);
    let file = |path: &str| InvocationEvent::File { path: path.into(), reference: "main".into() };
    let answer = call("shop--dev-Hello", file("events/hello.json")).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&answer.payload).unwrap(), json!({ "name": "Ada" }));
    assert!(matches!(call("Hello", file("events/none.json")).await, Err(Error::NotFound("file"))));
    assert!(matches!(call("Hello", file("README.md")).await, Err(Error::Invalid { .. })));
    assert!(matches!(call("Other", InvocationEvent::Json(json!(1))).await, Err(Error::NotFound("function"))));
    let large = InvocationEvent::Json(json!("x".repeat(7 * 1024 * 1024)));
    assert!(matches!(call("Hello", large).await, Err(Error::TooLarge(_))));
}

#[tokio::test]
async fn a_function_log_is_read_with_its_figures() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    world.deploy(&ada, &project, "dev").await;
    let read = async |cursor| {
        let query = LogsQuery { cursor, ..LogsQuery::default() };
        world.domain.logs.function(&ada, "shop", "dev", "Hello", &query).await.unwrap()
    };
    let empty = read(None).await;
    assert!(empty.lines.is_empty());
    let lines = [
        "START RequestId: r-1 Version: $LATEST",
        "hello",
        "END RequestId: r-1",
        "REPORT RequestId: r-1\tDuration: 1.50 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB",
    ];
    let events = lines.iter().map(|line| LogEvent { at: world.now(), message: (*line).into() }).collect();
    world.stack_logs.append("/aws/lambda/shop--dev-Hello", "s", events).await.unwrap();
    let page = read(Some(empty.next)).await;
    assert_eq!(page.lines.len(), 4);
    assert_eq!(page.lines[1].request_id.as_deref(), Some("r-1"));
    assert_eq!((page.requests[0].duration_ms, page.requests[0].cold_start), (1.5, false));
    assert!(read(Some(page.next)).await.lines.is_empty());
}

#[tokio::test]
async fn logs_003_keys_of_an_environment_print_nothing() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    world.deploy(&ada, &project, "dev").await;
    let keys = world.domain.environments.credentials(&ada, "shop", "dev").await.unwrap();
    assert_eq!(keys.access_key_id, "KEY-shop--dev");
    assert!(!format!("{keys:?}").contains("\"secret\""));
    let stored = world.records.dump().into_iter().map(|record| record.value.to_string()).collect::<String>();
    assert!(!stored.contains("KEY-shop--dev"));
}
