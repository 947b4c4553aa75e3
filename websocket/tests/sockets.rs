//! The functions of a socket, driven by the events that the gateway, the change feed and the queue send.
#![allow(clippy::unwrap_used)]

#[path = "../../crates/domain/tests/world/mod.rs"]
mod world;

use std::sync::Arc;

use cloud::{ChangeFeed, ConnectionId, Records};
use domain::Caller;
use function::{App, Config};
use serde_json::{Value, json};
use world::World;

const ORIGIN: &str = "http://localhost:8000";

fn app(world: &World) -> App {
    let variable = |name: &str| {
        Some(match name {
            "WORKROOM_ENVIRONMENT" => "dev",
            "SOCKET_URL" => "ws://localhost:8000/socket",
            "PARAMETER_PREFIX" => "/workroom/dev",
            "LOG_LEVEL" => "off",
            "AREA" | "RESPONSE_TRANSFER_MODE" => return None,
            _ => "http://localhost:8000/",
        })
    };
    App {
        identity: world.identity.clone(),
        domain: world.domain.clone(),
        config: Arc::new(Config::read(|name| variable(name).map(str::to_owned)).unwrap()),
        records: Arc::new(world.records.clone()) as Arc<dyn Records>,
        clock: world.clock.clone(),
        entropy: world.entropy.clone(),
    }
}

/// A signed-in person: tickets are made of sessions.
async fn sign_in(world: &World, name: &str) -> Caller {
    let account = world.account(name).await;
    let signed_in = world.identity.sign_in(account.email.as_str(), world::PASSWORD).await.unwrap();
    let mut principal = world.principal(&account);
    principal.session = Some(signed_in.session);
    Caller::new(principal, "test")
}

async fn ticket(world: &World, who: &Caller) -> String {
    world.identity.issue_ticket(&who.principal).await.unwrap().expose().to_owned()
}

async fn connect(app: &App, id: &str, origin: Option<&str>, ticket: Option<&str>) -> u64 {
    let mut event = json!({
        "headers": { "Host": "localhost:8000" },
        "requestContext": { "connectionId": id, "eventType": "CONNECT", "routeKey": "$connect" },
    });
    if let Some(origin) = origin {
        event["headers"]["Origin"] = json!(origin);
    }
    if let Some(ticket) = ticket {
        event["queryStringParameters"] = json!({ "ticket": ticket });
    }
    websocket::route(app, event).await["statusCode"].as_u64().unwrap()
}

async fn say(app: &App, id: &str, body: Value) -> u64 {
    let event = json!({
        "body": body,
        "isBase64Encoded": false,
        "requestContext": { "connectionId": id, "eventType": "MESSAGE", "routeKey": "$default" },
    });
    websocket::route(app, event).await["statusCode"].as_u64().unwrap()
}

fn types(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["type"].as_str().unwrap()).collect()
}

/// The stream records of everything in the table, as the change feed tells them.
async fn stream(world: &World) -> Value {
    let page = world.records.changes(None, 10_000).await.unwrap();
    let records = page.changes.into_iter().filter(|change| change.key.sort.starts_with("event#")).map(|change| {
        json!({
            "eventName": "INSERT",
            "dynamodb": {
                "SequenceNumber": change.position.0,
                "Keys": { "pk": { "S": change.key.partition }, "sk": { "S": change.key.sort } },
                "NewImage": { "value": { "S": change.new.unwrap().to_string() } },
            },
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

#[tokio::test]
async fn ws_003_004_005_a_handshake_needs_our_origin_and_a_ticket() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    let good = ticket(&world, &ada).await;
    for origin in ["http://dev--shop.localhost:8000", "https://localhost:8000", "http://localhost:8001", "null"] {
        assert_eq!(connect(&app, "c", Some(origin), Some(&good)).await, 403, "{origin}");
    }
    for bad in [None, Some(""), Some("wrt_00"), Some("x")] {
        assert_eq!(connect(&app, "c", Some(ORIGIN), bad).await, 401, "{bad:?}");
    }
    assert_eq!(connect(&app, "c", Some(ORIGIN), Some(&good)).await, 200);
    assert_eq!(connect(&app, "d", Some(ORIGIN), Some(&good)).await, 401);
    let late = ticket(&world, &ada).await;
    world.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(connect(&app, "c", None, Some(&late)).await, 401);
}

#[tokio::test]
async fn ws_009_of_two_that_use_a_ticket_at_once_one_gets_in() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    for _ in 0..20 {
        let shared = ticket(&world, &ada).await;
        let (first, second) =
            tokio::join!(connect(&app, "a", None, Some(&shared)), connect(&app, "b", None, Some(&shared)));
        assert_eq!([first, second].into_iter().filter(|status| *status == 200).count(), 1);
    }
}

#[tokio::test]
async fn ws_012_what_cannot_be_read_is_answered_and_the_connection_stays() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    connect(&app, "c", None, Some(&ticket(&world, &ada).await)).await;
    let connection = ConnectionId("c".into());
    for body in [json!("{"), json!(""), json!(null), json!(r#"{"action":"drop"}"#), json!("\u{fffd}")] {
        assert_eq!(say(&app, "c", body.clone()).await, 200, "{body}");
        let told = world.sockets.take(&connection);
        assert_eq!((types(&told), &told[0]["code"]), (vec!["error"], &json!("validation")), "{body}");
    }
    say(&app, "c", json!(r#"{"action":"subscribe","project":"nothing"}"#)).await;
    let told = world.sockets.take(&connection);
    assert_eq!((types(&told), &told[0]["code"]), (vec!["error"], &json!("not-found")));
    say(&app, "c", json!(r#"{"action":"ping"}"#)).await;
    assert_eq!(types(&world.sockets.take(&connection)), ["pong"]);
}

#[tokio::test]
async fn what_is_committed_reaches_who_follows() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    connect(&app, "c", None, Some(&ticket(&world, &ada).await)).await;
    let connection = ConnectionId("c".into());
    say(&app, "c", json!(r#"{"action":"subscribe","project":"shop","after":0}"#)).await;
    let told = world.sockets.take(&connection);
    assert_eq!(types(&told), ["subscribed", "presence", "event", "live"]);
    assert_eq!((&told[2]["sequence"], &told[3]["sequence"]), (&json!(1), &json!(1)));

    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let answer = websocket::fan_out(&app, stream(&world).await).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    websocket::fan_out(&app, stream(&world).await).await;
    let told = world.sockets.take(&connection);
    assert_eq!((types(&told), &told[0]["event"]["type"]), (vec!["event"], &json!("job.created")));

    let left = json!({ "requestContext": { "connectionId": "c", "eventType": "DISCONNECT" } });
    assert_eq!(websocket::route(&app, left).await["statusCode"], 200);
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    websocket::fan_out(&app, stream(&world).await).await;
    assert!(world.sockets.take(&connection).is_empty());
}

#[tokio::test]
async fn a_job_that_nobody_was_told_of_is_sent_from_the_feed() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    *world.jobs.away.lock().unwrap() = true;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let batch = stream(&world).await;
    let failed = websocket::fan_out(&app, batch.clone()).await;
    assert_eq!(failed["batchItemFailures"][0]["itemIdentifier"], batch["Records"][1]["dynamodb"]["SequenceNumber"]);
    *world.jobs.away.lock().unwrap() = false;
    assert_eq!(websocket::fan_out(&app, batch).await, json!({ "batchItemFailures": [] }));
    assert_eq!(world.jobs.drain().len(), 1);
}

#[tokio::test]
async fn records_that_are_no_events_are_passed_over() {
    let world = World::new();
    let app = app(&world);
    let change = |name: &str, sort: &str, value: &str| json!({ "eventName": name, "dynamodb": { "SequenceNumber": "1", "Keys": { "sk": { "S": sort } }, "NewImage": { "value": { "S": value } } } });
    let odd = json!({ "Records": [change("REMOVE", "event#1", "{}"), change("INSERT", "job#1", "{}"), change("INSERT", "event#1", "{"), {}] });
    assert_eq!(websocket::fan_out(&app, odd).await, json!({ "batchItemFailures": [] }));
    assert_eq!(
        websocket::tail(&app, json!({ "Records": [{ "messageId": "m", "body": "{" }] })).await,
        json!({ "batchItemFailures": [] })
    );
    assert_eq!(websocket::route(&app, json!({})).await["statusCode"], 400);
}

#[tokio::test]
async fn a_log_is_followed_over_the_queue() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    let job = world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let lease = world.start(&job).await;
    world.domain.jobs.log(&lease, &["one".into(), "two".into()]).await.unwrap();
    world.succeed(&lease).await;
    connect(&app, "c", None, Some(&ticket(&world, &ada).await)).await;
    let ask = json!({ "action": "tail", "project": "shop", "job": job.id }).to_string();
    say(&app, "c", json!(ask)).await;
    let records = world.tails.drain().into_iter().map(|body| json!({ "messageId": "m", "body": body.to_string() }));
    let records: Vec<Value> = records.collect();
    assert_eq!(records.len(), 1);
    assert_eq!(websocket::tail(&app, json!({ "Records": records })).await, json!({ "batchItemFailures": [] }));
    let told = world.sockets.take(&ConnectionId("c".into()));
    assert_eq!(types(&told), ["tailing", "log", "tail_ended"]);
    assert_eq!(told[1]["lines"].as_array().unwrap().len(), 2);
}

/// The stream records of sessions, as the change feed tells them.
async fn sessions(world: &World) -> Value {
    let page = world.records.changes(None, 10_000).await.unwrap();
    let records =
        page.changes.into_iter().filter(|change| change.key.partition.starts_with("session#")).map(|change| {
            let name = match change.kind {
                cloud::ChangeKind::Insert => "INSERT",
                cloud::ChangeKind::Modify => "MODIFY",
                cloud::ChangeKind::Remove => "REMOVE",
            };
            json!({
                "eventName": name,
                "dynamodb": {
                    "SequenceNumber": change.position.0,
                    "Keys": { "pk": { "S": change.key.partition }, "sk": { "S": change.key.sort } },
                    "NewImage": { "value": { "S": change.new.unwrap_or_default().to_string() } },
                },
            })
        });
    json!({ "Records": records.collect::<Vec<_>>() })
}

#[tokio::test]
async fn a_session_that_ends_closes_its_sockets_by_the_change_feed() {
    let world = World::new();
    let app = app(&world);
    let (ada, bob) = (sign_in(&world, "ada").await, sign_in(&world, "bob").await);
    for (id, who) in [("a1", &ada), ("a2", &ada), ("b1", &bob)] {
        let ticket = ticket(&world, who).await;
        assert_eq!(connect(&app, id, None, Some(&ticket)).await, 200);
    }
    let none = json!({ "batchItemFailures": [] });
    assert_eq!(websocket::fan_out(&app, sessions(&world).await).await, none);
    assert!(world.sockets.gone.lock().unwrap().is_empty(), "no session has ended");
    world.identity.sign_out(ada.principal.session.as_ref().unwrap()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(websocket::fan_out(&app, sessions(&world).await).await, none);
    }
    let closed: Vec<String> = world.sockets.gone.lock().unwrap().iter().cloned().collect();
    assert_eq!(closed, ["a1", "a2"]);
    assert_eq!(say(&app, "b1", json!(r#"{"action":"ping"}"#)).await, 200);
    assert_eq!(types(&world.sockets.take(&ConnectionId("b1".into()))), ["pong"]);
}
