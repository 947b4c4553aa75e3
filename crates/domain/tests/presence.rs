//! Who is at a project, told as it changes; and what is kept for a person.
#![allow(clippy::unwrap_used)]

mod world;

use std::time::Duration;

use cloud::ConnectionId;
use domain::{Caller, Error, Expected, SETTINGS_BYTES_MAX, TailTarget};
use serde_json::{Map, Value, json};
use world::World;

async fn follow(world: &World, who: &Caller, name: &str) -> ConnectionId {
    let connection = ConnectionId(name.into());
    world.domain.connections.open(&connection, &who.principal).await.unwrap();
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    connection
}

async fn at(world: &World, connection: &ConnectionId, branch: Option<&str>, path: Option<&str>) -> Result<(), Error> {
    world.domain.connections.set_presence(connection, "shop", branch, path).await
}

/// Names and paths of the last presence message that a connection was sent; `None` when it was sent none.
fn told(world: &World, connection: &ConnectionId) -> Option<Vec<(String, Value)>> {
    let messages = world.sockets.take(connection);
    let last = messages.iter().rev().find(|message| message["type"] == "presence")?;
    let people = last["people"].as_array().unwrap();
    Some(people.iter().map(|one| (one["name"].as_str().unwrap().to_owned(), one["path"].clone())).collect())
}

fn one(name: &str, path: Value) -> (String, Value) {
    (name.to_owned(), path)
}

async fn two() -> (World, Caller, Caller, ConnectionId, ConnectionId) {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let dev = world.member(&ada, &project, "dev", identity::Role::Developer).await;
    let (first, second) = (follow(&world, &ada, "c1").await, follow(&world, &dev, "c2").await);
    (world, ada, dev, first, second)
}

#[tokio::test]
async fn followers_are_told_where_people_are_and_when_they_leave() {
    let (world, ada, _, first, second) = two().await;
    assert_eq!(told(&world, &first), Some(vec![]), "right after subscribing");
    at(&world, &first, Some("main"), Some("a.txt")).await.unwrap();
    for connection in [&first, &second] {
        assert_eq!(told(&world, connection), Some(vec![one("ada", json!("a.txt"))]));
    }
    at(&world, &second, None, None).await.unwrap();
    assert_eq!(told(&world, &first), Some(vec![one("ada", json!("a.txt")), one("dev", Value::Null)]));
    at(&world, &second, None, None).await.unwrap();
    assert_eq!(told(&world, &first), None, "nothing has changed");
    let third = follow(&world, &ada, "c3").await;
    assert_eq!(told(&world, &third).unwrap().len(), 2, "who comes later is told at once");
    let people = world.domain.connections.people(&ada, "shop").await.unwrap();
    assert_eq!(people.people.len(), 2);
    assert_eq!((people.people[0].connection.clone(), people.more), (first.clone(), false));
    world.domain.connections.close(&second).await.unwrap();
    assert_eq!(told(&world, &first), Some(vec![one("ada", json!("a.txt"))]));
    world.domain.connections.unsubscribe(&first, "shop").await.unwrap();
    assert_eq!(told(&world, &third), Some(vec![]));
}

#[tokio::test]
async fn a_connection_that_does_not_answer_has_left() {
    let (world, _, _, first, second) = two().await;
    at(&world, &first, None, Some("a")).await.unwrap();
    at(&world, &second, None, Some("b")).await.unwrap();
    world.sockets.take(&first);
    world.sockets.gone.lock().unwrap().insert(second.0.clone());
    at(&world, &first, None, Some("c")).await.unwrap();
    assert_eq!(told(&world, &first), Some(vec![one("ada", json!("c"))]));
    assert!(world.records.dump().iter().all(|record| !record.key.partition.contains("c2")));
}

#[tokio::test]
async fn what_was_said_ends_with_the_longest_life_of_a_connection() {
    let (world, ada, _, first, _) = two().await;
    world.clock.advance(Duration::from_secs(3600));
    at(&world, &first, None, Some("a")).await.unwrap();
    world.clock.advance(Duration::from_secs(3599));
    assert_eq!(world.domain.connections.people(&ada, "shop").await.unwrap().people.len(), 1);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.domain.connections.people(&ada, "shop").await.unwrap().people, []);
}

#[tokio::test]
async fn a_removed_member_is_seen_no_more_and_sees_nobody() {
    let (world, ada, dev, first, second) = two().await;
    let project = world.domain.projects.get(&ada, "shop").await.unwrap();
    at(&world, &second, None, Some("b")).await.unwrap();
    world.domain.members.remove(&ada, "shop", dev.principal.account.as_str()).await.unwrap();
    world.sockets.take(&second);
    at(&world, &first, None, Some("a")).await.unwrap();
    assert_eq!(told(&world, &second), None);
    for event in world.domain.events.after(&project.id, 0, 100).await.unwrap() {
        world.domain.connections.deliver(&event).await.unwrap();
    }
    assert_eq!(told(&world, &first), Some(vec![one("ada", json!("a"))]));
    let said = at(&world, &second, None, Some("c")).await;
    assert!(matches!(said, Err(Error::NotFound("project"))), "{said:?}");
    let asked = world.domain.connections.people(&dev, "shop").await;
    assert!(matches!(asked, Err(Error::NotFound("project"))));
}

#[tokio::test]
async fn presence_is_said_by_followers_within_bounds() {
    let (world, ada, _, first, _) = two().await;
    let idle = ConnectionId("c9".into());
    world.domain.connections.open(&idle, &ada.principal).await.unwrap();
    assert!(matches!(at(&world, &idle, None, None).await, Err(Error::Conflict(_))));
    let long = "a/".repeat(600) + "a";
    for (branch, path) in [(None, Some("../x")), (Some("a..b"), None), (None, Some("")), (None, Some(long.as_str()))] {
        let refused = at(&world, &first, branch, path).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{branch:?} {path:?} {refused:?}");
    }
    let mut said = 0;
    let refused = loop {
        match at(&world, &first, None, Some(&format!("f{said}"))).await {
            Ok(()) => said += 1,
            Err(error) => break error,
        }
        assert!(said <= 100, "nothing bounds it");
    };
    assert!(matches!(refused, Error::Quota(_)), "{refused:?}");
    world.clock.advance(Duration::from_secs(10));
    at(&world, &first, None, Some("later")).await.unwrap();
}

#[tokio::test]
async fn people_beyond_the_list_are_told_as_more() {
    let (world, ada, _, first, _) = two().await;
    for n in 0..domain::PEOPLE_MAX {
        let connection = follow(&world, &ada, &format!("d{n:03}")).await;
        at(&world, &connection, None, Some(&format!("f{n}"))).await.unwrap();
        world.sockets.sent.lock().unwrap().clear();
    }
    at(&world, &first, None, Some("a")).await.unwrap();
    let people = world.domain.connections.people(&ada, "shop").await.unwrap();
    assert_eq!((people.people.len(), people.more), (domain::PEOPLE_MAX, true));
    let message = world.sockets.take(&first).pop().unwrap();
    assert_eq!(message["more"], true);
}

/// Two who change at the same time: the last that anyone hears has both.
#[tokio::test]
async fn changes_at_once_are_all_told_in_the_end() {
    let (world, _, _, first, second) = two().await;
    for round in 0..10 {
        let (path_a, path_b) = (format!("a{round}"), format!("b{round}"));
        let (one, other) =
            tokio::join!(at(&world, &first, None, Some(&path_a)), at(&world, &second, None, Some(&path_b)),);
        one.unwrap();
        other.unwrap();
        for connection in [&first, &second] {
            let last: Vec<Value> = told(&world, connection).unwrap().into_iter().map(|(_, path)| path).collect();
            assert_eq!(last, [json!(path_a), json!(path_b)], "round {round}");
        }
    }
}

#[tokio::test]
async fn a_tail_names_the_log_that_it_follows() {
    let (world, ada, _, first, _) = two().await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    world.sockets.take(&first);
    let target = TailTarget::Job { project: "shop".into(), job: job.id.to_string() };
    let tail = world.domain.connections.start_tail(&first, target, None, None).await.unwrap();
    let told = world.sockets.take(&first).remove(0);
    assert_eq!(told, json!({ "type": "tailing", "tail": tail, "project": "shop", "job": job.id }));
}

fn settings(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn settings_are_replaced_at_the_version_that_was_read() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let (empty, version) = world.domain.settings.get(&ada).await.unwrap();
    assert!(empty.is_empty());
    let dark = settings(&json!({ "theme": "dark", "keys": [{ "key": "ctrl+s" }] }));
    let unsaid = world.domain.settings.set(&ada, &Expected::Unsaid, dark.clone()).await;
    assert!(matches!(unsaid, Err(Error::PreconditionRequired(_))), "{unsaid:?}");
    let first = world.domain.settings.set(&ada, &Expected::Tag(version.clone()), dark.clone()).await.unwrap();
    assert_eq!(world.domain.settings.get(&ada).await.unwrap(), (dark.clone(), first.clone()));
    let stale = world.domain.settings.set(&ada, &Expected::Tag(version), Map::new()).await;
    assert!(matches!(stale, Err(Error::PreconditionFailed(_))), "{stale:?}");
    let second = world.domain.settings.set(&ada, &Expected::Tag(first.clone()), Map::new()).await.unwrap();
    assert_ne!(first, second);
    assert!(world.domain.settings.get(&eve).await.unwrap().0.is_empty(), "another person has their own");
}

#[tokio::test]
async fn settings_are_bounded_and_a_persons_own() {
    let world = World::new();
    let mut ada = world.person("ada").await;
    let most = settings(&json!({ "a": "x".repeat(SETTINGS_BYTES_MAX - 8) }));
    world.domain.settings.set(&ada, &Expected::Absent, most).await.unwrap();
    let over = settings(&json!({ "a": "x".repeat(SETTINGS_BYTES_MAX - 7) }));
    let refused = world.domain.settings.set(&ada, &Expected::Present, over).await;
    assert!(matches!(refused, Err(Error::TooLarge(_))), "{refused:?}");
    ada.principal.project = Some(world.project(&world.person("bob").await, "shop").await.id);
    assert!(matches!(world.domain.settings.get(&ada).await, Err(Error::Forbidden(_))));
    assert!(matches!(world.domain.settings.set(&ada, &Expected::Present, Map::new()).await, Err(Error::Forbidden(_))));
}
