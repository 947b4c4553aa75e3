//! The fan-out function with stream records in the form in which AWS sends them (`tests/events`).
#![allow(clippy::unwrap_used)]

#[path = "../../crates/domain/tests/world/mod.rs"]
mod world;

use std::sync::Arc;

use cloud::{ChangeFeed, ConnectionId, Records};
use domain::{Caller, EventEnvelope};
use function::{App, Config};
use serde_json::{Value, json};
use world::World;

fn app(world: &World) -> App {
    let variable = |name: &str| match name {
        "WORKROOM_ENVIRONMENT" => Some("dev"),
        "SOCKET_URL" => Some("ws://localhost:8000/socket"),
        "PARAMETER_PREFIX" => Some("/workroom/dev"),
        "LOG_LEVEL" => Some("off"),
        "AREA" | "RESPONSE_TRANSFER_MODE" => None,
        _ => Some("http://localhost:8000/"),
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

async fn sign_in(world: &World, name: &str) -> Caller {
    let account = world.account(name).await;
    let signed_in = world.identity.sign_in(account.email.as_str(), world::PASSWORD).await.unwrap();
    let mut principal = world.principal(&account);
    principal.session = Some(signed_in.session);
    Caller::new(principal, "test")
}

/// Opens a connection that follows `project` from its newest event.
async fn follow(app: &App, who: &Caller, id: &str, project: &str) -> ConnectionId {
    let ticket = app.identity.issue_ticket(&who.principal).await.unwrap().expose().to_owned();
    let event = json!({
        "headers": { "Host": "localhost:8000" },
        "queryStringParameters": { "ticket": ticket },
        "requestContext": { "connectionId": id, "eventType": "CONNECT", "routeKey": "$connect" },
    });
    assert_eq!(websocket::route(app, event).await["statusCode"], 200);
    let event = json!({
        "body": json!({ "action": "subscribe", "project": project }).to_string(),
        "isBase64Encoded": false,
        "requestContext": { "connectionId": id, "eventType": "MESSAGE", "routeKey": "$default" },
    });
    assert_eq!(websocket::route(app, event).await["statusCode"], 200);
    ConnectionId(id.into())
}

/// Types of the events that a connection was sent.
fn told(world: &World, connection: &ConnectionId) -> Vec<String> {
    let messages = world.sockets.take(connection);
    messages.iter().filter_map(|message| message["event"]["type"].as_str().map(str::to_owned)).collect()
}

fn fixture(name: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A committed event as the stream tells it.
fn inserted(partition: &str, sort: &str, value: &str, number: usize) -> Value {
    let mut record = fixture("event-inserted.json");
    for part in ["Keys", "NewImage"] {
        record["dynamodb"][part]["pk"]["S"] = json!(partition);
        record["dynamodb"][part]["sk"]["S"] = json!(sort);
    }
    record["dynamodb"]["NewImage"]["value"]["S"] = json!(value);
    record["dynamodb"]["SequenceNumber"] = json!(format!("44215845000000000174504390{number:02}"));
    record
}

/// Every event that was committed, as one batch.
async fn batch(world: &World) -> Vec<Value> {
    let changes = world.records.changes(None, 10_000).await.unwrap().changes;
    let events = changes.iter().filter(|change| change.key.sort.starts_with("event#")).enumerate();
    events
        .map(|(number, change)| {
            let value = change.new.as_ref().unwrap().to_string();
            inserted(&change.key.partition, &change.key.sort, &value, number)
        })
        .collect()
}

async fn fan_out(app: &App, records: &[Value]) -> Vec<String> {
    let answer = websocket::fan_out(app, json!({ "Records": records })).await;
    let failures = answer["batchItemFailures"].as_array().unwrap();
    failures.iter().map(|failure| failure["itemIdentifier"].as_str().unwrap().to_owned()).collect()
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap().to_owned()
}

/// Project and type of what is on the bus, in the order in which it came.
fn on_the_bus(world: &World) -> Vec<(String, String)> {
    let taken = std::mem::take(&mut *world.bus.taken.lock().unwrap());
    taken.into_iter().map(|event| (event.detail["project"].as_str().unwrap().to_owned(), event.kind)).collect()
}

#[tokio::test]
async fn records_as_aws_sends_them_reach_connections_and_the_bus() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    let shop = follow(&app, &ada, "c", "shop").await;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let mut records = batch(&world).await;
    let (events, old) = (records.len(), records.remove(0));
    records.extend([fixture("record-modified.json"), fixture("record-expired.json")]);
    records.insert(0, old);
    assert!(fan_out(&app, &records).await.is_empty());
    assert_eq!(told(&world, &shop), ["job.created"]);

    let taken = std::mem::take(&mut *world.bus.taken.lock().unwrap());
    assert_eq!(taken.len(), events, "only what was inserted is an event");
    let stored = records[0]["dynamodb"]["NewImage"]["value"]["S"].as_str().unwrap();
    let stored: EventEnvelope = serde_json::from_str(stored).unwrap();
    assert_eq!(serde_json::from_value::<EventEnvelope>(taken[0].detail.clone()).unwrap(), stored);
    assert_eq!((&taken[0].kind, &taken[0].source, taken[0].time), (&stored.kind, &stored.source, stored.time));
}

#[tokio::test]
async fn what_fails_holds_up_its_own_project_alone() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    world.project(&ada, "blog").await;
    let (shop, blog) = (follow(&app, &ada, "a", "shop").await, follow(&app, &ada, "b", "blog").await);
    // The event of a job fails, because its message cannot be sent.
    *world.jobs.away.lock().unwrap() = true;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let records = batch(&world).await;
    let [.., mut of_blog, of_shop] = <[Value; 3]>::try_from(records).unwrap();
    let mut later = of_shop.clone();
    let mut event: EventEnvelope =
        serde_json::from_str(of_shop["dynamodb"]["NewImage"]["value"]["S"].as_str().unwrap()).unwrap();
    (event.kind, event.sequence) = ("job.updated".into(), event.sequence + 1);
    later["dynamodb"]["NewImage"]["value"]["S"] = json!(json!(event).to_string());
    later["dynamodb"]["SequenceNumber"] = json!("4421584500000000017450439098");
    let mut event: EventEnvelope =
        serde_json::from_str(of_blog["dynamodb"]["NewImage"]["value"]["S"].as_str().unwrap()).unwrap();
    let project = event.project.clone();
    event.sequence += 1;
    of_blog["dynamodb"]["NewImage"]["value"]["S"] = json!(json!(event).to_string());
    of_blog["dynamodb"]["SequenceNumber"] = json!("4421584500000000017450439099");

    let records = [of_shop, later, of_blog];
    assert_eq!(fan_out(&app, &records).await, [number(&records[0])]);
    assert_eq!(told(&world, &shop), Vec::<String>::new(), "nothing is sent past what failed");
    assert_eq!(told(&world, &blog), ["project.created"], "another project does not wait");
    assert_eq!(on_the_bus(&world), [(project, "project.created".to_owned())]);

    *world.jobs.away.lock().unwrap() = false;
    assert!(fan_out(&app, &records).await.is_empty());
    assert_eq!(told(&world, &shop), ["job.created", "job.updated"]);
    assert_eq!(told(&world, &blog), Vec::<String>::new(), "what comes again is not sent again");
    assert_eq!(world.jobs.drain().len(), 1);
}

#[tokio::test]
async fn what_the_bus_refuses_comes_again_and_connections_do_not_hear_it_twice() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    let project = world.project(&ada, "shop").await;
    let shop = follow(&app, &ada, "c", "shop").await;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let records = batch(&world).await;
    world.bus.refused.lock().unwrap().push(project.id.to_string());
    assert_eq!(fan_out(&app, &records).await, [number(&records[0])]);
    *world.bus.away.lock().unwrap() = true;
    assert_eq!(fan_out(&app, &records[1..]).await, [number(&records[1])]);
    assert_eq!(told(&world, &shop), ["job.created"]);

    *world.bus.away.lock().unwrap() = false;
    world.bus.refused.lock().unwrap().clear();
    assert!(fan_out(&app, &records).await.is_empty());
    let kinds: Vec<_> = on_the_bus(&world).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["project.created", "job.created"]);
    assert_eq!(told(&world, &shop), Vec::<String>::new());
}

#[tokio::test]
async fn a_poison_record_holds_up_nothing() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    let shop = follow(&app, &ada, "c", "shop").await;
    world.domain.jobs.build(&ada, "shop", None).await.unwrap();
    let mut records = batch(&world).await;
    let partition = records[0]["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned();
    for (at, poison) in ["{", "[]", "{\"id\":1}", ""].into_iter().enumerate() {
        records.insert(1, inserted(&partition, "event#0000000000000009", poison, 50 + at));
    }
    records.push(json!({}));
    records.push(json!({ "eventName": "INSERT", "dynamodb": { "Keys": { "sk": { "S": "event#1" } } } }));
    assert!(fan_out(&app, &records).await.is_empty());
    assert_eq!((told(&world, &shop), on_the_bus(&world).len()), (vec!["job.created".to_owned()], 2));
}

#[tokio::test]
async fn a_failed_record_without_a_number_fails_the_whole_batch() {
    let world = World::new();
    let app = app(&world);
    let ada = sign_in(&world, "ada").await;
    world.project(&ada, "shop").await;
    let mut records = batch(&world).await;
    records[0]["dynamodb"]["SequenceNumber"] = Value::Null;
    *world.bus.away.lock().unwrap() = true;
    assert_eq!(fan_out(&app, &records).await, [""]);
}
