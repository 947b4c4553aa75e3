//! Delivery over sockets: in order, without a gap, to members only.
#![allow(clippy::unwrap_used)]

mod world;

use cloud::{ConnectionId, LogEvent, Logs};
use domain::{Caller, Error, Progress, Quotas, TailMessage, TailTarget};
use serde_json::{Value, json};
use world::World;

async fn connect(world: &World, who: &Caller, name: &str) -> ConnectionId {
    let connection = ConnectionId(name.into());
    world.domain.connections.open(&connection, &who.principal).await.unwrap();
    connection
}

/// Delivers every event of the project from the sequence on, as the change feed does.
async fn feed(world: &World, project: &domain::Project, from: u64) {
    for event in world.domain.events.after(&project.id, from, 1_000).await.unwrap() {
        world.domain.connections.deliver(&event).await.unwrap();
    }
}

fn sequences(messages: &[Value]) -> Vec<u64> {
    messages.iter().filter_map(|message| message["sequence"].as_u64()).collect()
}

async fn work(world: &World, who: &Caller, times: usize) {
    for _ in 0..times {
        let job = world.domain.jobs.build(who, "shop", None).await.unwrap();
        let lease = world.start(&job).await;
        world.succeed(&lease).await;
    }
}

#[tokio::test]
async fn a_subscription_replays_from_its_cursor_and_goes_on_live() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    work(&world, &ada, 2).await;
    let connection = connect(&world, &ada, "c1").await;
    let subscribed = world.domain.connections.subscribe(&connection, "shop", Some(1)).await.unwrap();
    assert_eq!(subscribed.sequence, 7);
    let replayed = world.sockets.take(&connection);
    assert_eq!(replayed[0]["type"], "subscribed");
    assert_eq!(sequences(&replayed), [2, 3, 4, 5, 6, 7]);
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    feed(&world, &project, 5).await;
    assert_eq!(sequences(&world.sockets.take(&connection)), [8, 9, 10]);
}

#[tokio::test]
async fn nothing_is_lost_or_out_of_order_when_events_come_while_it_subscribes() {
    for round in 0..8 {
        let world = World::new();
        let ada = world.person("ada").await;
        let project = world.project(&ada, "shop").await;
        work(&world, &ada, 1).await;
        let connection = connect(&world, &ada, "c1").await;
        let subscribing = world.domain.connections.subscribe(&connection, "shop", Some(0));
        let working = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
            work(&world, &ada, 2).await;
            feed(&world, &project, 0).await;
        };
        let (subscribed, ()) = tokio::join!(subscribing, working);
        subscribed.unwrap();
        // Not fed again: what was told while it replayed must have come by the replay.
        let got = sequences(&world.sockets.take(&connection));
        let mut once = got.clone();
        once.dedup();
        assert_eq!(once, (1..=10).collect::<Vec<u64>>(), "round {round}: {got:?}");
    }
}

/// An event that is written and told after the last look of a replay, and before the subscription is live.
#[tokio::test]
async fn an_event_between_replay_and_live_delivery_is_not_lost() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let connection = connect(&world, &ada, "c1").await;
    world.gate.arm();
    let subscribing = world.domain.connections.subscribe(&connection, "shop", Some(0));
    let between = async {
        world.gate.reached.notified().await;
        work(&world, &ada, 1).await;
        feed(&world, &project, 0).await;
        world.gate.resume.notify_one();
    };
    let (subscribed, ()) = tokio::join!(subscribing, between);
    assert_eq!(subscribed.unwrap().sequence, 4);
    assert_eq!(sequences(&world.sockets.take(&connection)), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_delivery_that_was_skipped_is_made_up_for_in_order() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let connection = connect(&world, &ada, "c1").await;
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    world.sockets.take(&connection);
    work(&world, &ada, 2).await;
    let last = world.domain.events.after(&project.id, 6, 10).await.unwrap().remove(0);
    world.domain.connections.deliver(&last).await.unwrap();
    assert_eq!(sequences(&world.sockets.take(&connection)), [2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn authz_032_a_removed_member_gets_no_further_event() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let dev = world.member(&ada, &project, "dev", identity::Role::Developer).await;
    let connection = connect(&world, &dev, "c1").await;
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    world.sockets.take(&connection);
    world.domain.members.remove(&ada, "shop", "dev@example.com").await.unwrap();
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    let told = world.sockets.take(&connection);
    assert_eq!(told.iter().map(|m| m["type"].as_str().unwrap()).collect::<Vec<_>>(), ["unsubscribed"]);
    let again = world.domain.connections.subscribe(&connection, "shop", None).await.unwrap_err();
    assert!(matches!(again, Error::NotFound("project")));
}

/// The membership is looked at by each delivery, not only when a member is removed.
#[tokio::test]
async fn authz_032_a_membership_that_ends_elsewhere_ends_delivery_too() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let dev = world.member(&ada, &project, "dev", identity::Role::Viewer).await;
    let connection = connect(&world, &dev, "c1").await;
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    world.sockets.take(&connection);
    world.identity.members().remove(&project.id, &dev.principal.account).await.unwrap();
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    assert!(sequences(&world.sockets.take(&connection)).is_empty());
}

#[tokio::test]
async fn an_outsider_cannot_subscribe_and_a_cursor_beyond_the_end_is_refused() {
    let world = World::new();
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    world.project(&ada, "shop").await;
    let (own, other) = (connect(&world, &ada, "c1").await, connect(&world, &eve, "c2").await);
    let outside = world.domain.connections.subscribe(&other, "shop", None).await.unwrap_err();
    assert!(matches!(outside, Error::NotFound("project")));
    let beyond = world.domain.connections.subscribe(&own, "shop", Some(99)).await.unwrap_err();
    assert!(matches!(beyond, Error::Invalid { .. }));
    let unknown = ConnectionId("c3".into());
    assert!(world.domain.connections.subscribe(&unknown, "shop", None).await.is_err());
}

#[tokio::test]
async fn a_client_that_is_gone_or_does_not_read_is_forgotten_and_others_are_served() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let mut connections = Vec::new();
    for name in ["gone", "slow", "good"] {
        let connection = connect(&world, &ada, name).await;
        world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
        world.sockets.take(&connection);
        connections.push(connection);
    }
    world.sockets.gone.lock().unwrap().insert("gone".into());
    world.sockets.slow.lock().unwrap().insert("slow".into());
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    assert_eq!(sequences(&world.sockets.take(&connections[2])), [2, 3, 4]);
    assert!(world.sockets.gone.lock().unwrap().contains("slow"));
    let left = world.records.dump().into_iter().filter(|r| r.key.partition.starts_with("subscribers#"));
    assert_eq!(left.map(|record| record.key.sort).collect::<Vec<_>>(), ["good"]);
}

#[tokio::test]
async fn a_throttled_post_is_tried_again_and_the_connection_stays() {
    let world = World::new();
    let ada = world.person("ada").await;
    let project = world.project(&ada, "shop").await;
    let connection = connect(&world, &ada, "busy").await;
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    world.sockets.take(&connection);
    let throttled = |times: u32| world.sockets.throttled.lock().unwrap().insert("busy".into(), times);
    throttled(3);
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    assert_eq!(sequences(&world.sockets.take(&connection)), [2, 3, 4]);
    // Longer than anybody waits: the event is asked for again, and nobody is cut off.
    throttled(1_000);
    let posted = world.domain.connections.post(&connection, &json!({ "type": "pong" })).await;
    assert!(matches!(posted, Err(Error::Unavailable(_))), "{posted:?}");
    assert_eq!(world.sockets.throttled.lock().unwrap()["busy"], 996, "a post is tried four times");
    assert!(!world.sockets.gone.lock().unwrap().contains("busy"));
    throttled(0);
    world.domain.connections.post(&connection, &json!({ "type": "pong" })).await.unwrap();
    assert_eq!(world.sockets.take(&connection).len(), 1);
}

#[tokio::test]
async fn closing_forgets_everything_of_a_connection() {
    let world = World::new();
    let ada = world.person("ada").await;
    world.project(&ada, "shop").await;
    let connection = connect(&world, &ada, "c1").await;
    world.domain.connections.subscribe(&connection, "shop", None).await.unwrap();
    world.domain.connections.close(&connection).await.unwrap();
    world.domain.connections.close(&connection).await.unwrap();
    let mut left = world.records.dump().into_iter().map(|record| record.key.to_string());
    assert!(!left.any(|key| key.starts_with("connection#") || key.starts_with("subscribers#")));
}

async fn run_tail(world: &World) -> usize {
    let messages = world.tails.drain();
    for message in &messages {
        let message: TailMessage = serde_json::from_value(message.clone()).unwrap();
        world.domain.connections.run_tail(&message).await.unwrap();
    }
    messages.len()
}

#[tokio::test]
async fn a_job_log_is_followed_to_its_end() {
    let world = World::new();
    let ada = world.person("ada").await;
    world.project(&ada, "shop").await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let lease = world.start(&job).await;
    world.domain.jobs.progress(&lease, Progress::default()).await.unwrap();
    let lines: Vec<String> = (0..450).map(|n| format!("line {n}")).collect();
    world.domain.jobs.log(&lease, &lines).await.unwrap();
    world.succeed(&lease).await;
    let connection = connect(&world, &ada, "c1").await;
    let target = TailTarget::Job { project: "shop".into(), job: job.id.to_string() };
    world.domain.connections.start_tail(&connection, target, None, None).await.unwrap();
    assert_eq!(run_tail(&world).await, 1);
    let told = world.sockets.take(&connection);
    let read: Vec<&str> = told
        .iter()
        .filter_map(|message| message["lines"].as_array())
        .flatten()
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(read, lines);
    assert_eq!((&told[0]["type"], &told.last().unwrap()["type"]), (&json!("tailing"), &json!("tail_ended")));
    assert!(world.tails.drain().is_empty());
}

#[tokio::test]
async fn logs_004_a_tail_of_what_one_may_not_read_is_refused_and_ends_with_the_membership() {
    let world = World::with(Quotas::default());
    let (ada, eve) = (world.person("ada").await, world.person("eve").await);
    let project = world.project(&ada, "shop").await;
    world.deploy(&ada, &project, "dev").await;
    let dev = world.member(&ada, &project, "dev", identity::Role::Developer).await;
    let target = |function: &str| TailTarget::Function {
        project: "shop".into(),
        environment: "dev".into(),
        function: function.into(),
    };
    let other = connect(&world, &eve, "c2").await;
    let outside = world.domain.connections.start_tail(&other, target("Hello"), None, None).await.unwrap_err();
    assert!(matches!(outside, Error::NotFound("project")));
    let connection = connect(&world, &dev, "c1").await;
    for name in ["/aws/lambda/other", "Other", ""] {
        let unknown = world.domain.connections.start_tail(&connection, target(name), None, None).await.unwrap_err();
        assert!(matches!(unknown, Error::NotFound("function")), "{name}");
    }
    world.domain.connections.start_tail(&connection, target("Hello"), None, None).await.unwrap();
    world.domain.members.remove(&ada, "shop", "dev@example.com").await.unwrap();
    let secret = vec![LogEvent { at: world.now(), message: "secret".into() }];
    world.stack_logs.append("/aws/lambda/shop--dev-Hello", "s", secret).await.unwrap();
    run_tail(&world).await;
    let told = world.sockets.take(&connection);
    assert_eq!(told.last().unwrap()["type"], "tail_ended");
    assert!(told.iter().all(|message| message["type"] != "log"));
}

#[tokio::test]
async fn a_tail_has_one_reader_at_a_time() {
    let world = World::new();
    let ada = world.person("ada").await;
    world.project(&ada, "shop").await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let lease = world.start(&job).await;
    world.domain.jobs.log(&lease, &["once".into()]).await.unwrap();
    world.succeed(&lease).await;
    let connection = connect(&world, &ada, "c1").await;
    let target = TailTarget::Job { project: "shop".into(), job: job.id.to_string() };
    world.domain.connections.start_tail(&connection, target, None, None).await.unwrap();
    let message: TailMessage = serde_json::from_value(world.tails.drain().remove(0)).unwrap();
    let runs = (0..4).map(|_| world.domain.connections.run_tail(&message));
    for run in futures::future::join_all(runs).await {
        run.unwrap();
    }
    let logged = world.sockets.take(&connection).into_iter().filter(|message| message["type"] == "log").count();
    assert_eq!(logged, 1);
}

/// A signed-in person: the session is one that can end.
async fn sign_in(world: &World, name: &str) -> Caller {
    let account = world.account(name).await;
    let signed_in = world.identity.sign_in(account.email.as_str(), world::PASSWORD).await.unwrap();
    let mut principal = world.principal(&account);
    principal.session = Some(signed_in.session);
    Caller::new(principal, "test")
}

#[tokio::test]
async fn the_sockets_of_a_session_end_with_it_and_no_other() {
    let world = World::new();
    let (ada, bob) = (sign_in(&world, "ada").await, sign_in(&world, "bob").await);
    let project = world.project(&ada, "shop").await;
    let (one, two) = (connect(&world, &ada, "c1").await, connect(&world, &ada, "c2").await);
    let other = connect(&world, &bob, "c3").await;
    world.domain.connections.subscribe(&one, "shop", None).await.unwrap();
    world.sockets.take(&one);
    let session = ada.principal.session.clone().unwrap();
    world.identity.sign_out(&session).await.unwrap();
    // Even before anything is closed nothing is delivered, and nothing is done.
    work(&world, &ada, 1).await;
    feed(&world, &project, 0).await;
    assert!(sequences(&world.sockets.take(&one)).is_empty());
    assert!(world.domain.connections.subscribe(&two, "shop", None).await.is_err());
    for _ in 0..2 {
        world.domain.connections.close_held(session.as_str()).await.unwrap();
    }
    let closed: Vec<String> = world.sockets.gone.lock().unwrap().iter().cloned().collect();
    assert_eq!(closed, ["c1", "c2"]);
    assert!(world.domain.connections.caller(&other).await.is_ok());
    let left: Vec<String> = world.records.dump().into_iter().map(|record| record.key.to_string()).collect();
    let of = |name: &str| left.iter().any(|key| key.starts_with(&format!("connection#{name}")) || key.ends_with(name));
    assert!(!of("c1") && !of("c2") && of("c3"), "{left:?}");
}

#[tokio::test]
async fn a_session_that_ended_opens_no_socket() {
    let world = World::new();
    let ada = sign_in(&world, "ada").await;
    world.identity.sign_out(ada.principal.session.as_ref().unwrap()).await.unwrap();
    let late = world.domain.connections.open(&ConnectionId("c1".into()), &ada.principal).await.unwrap_err();
    assert!(matches!(late, Error::NotFound("connection")));
}

#[tokio::test]
async fn the_sockets_of_a_disabled_account_hear_nothing_more() {
    let world = World::new();
    let ada = sign_in(&world, "ada").await;
    let connection = connect(&world, &ada, "c1").await;
    let disabled = identity::AccountUpdate { disabled: Some(true), ..identity::AccountUpdate::default() };
    world.identity.accounts().update(&ada.principal.account, disabled, None).await.unwrap();
    assert!(world.domain.connections.caller(&connection).await.is_err());
}
