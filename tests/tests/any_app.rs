//! Apps that are not the starters: pushed, deployed, and looked at from outside.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workroom_tests::tools::{python, succeed};
use workroom_tests::{Answer, Platform, Project, Site, Team, root};

/// How long something may take that happens behind the answer: a queue, a notification.
const PATIENCE: Duration = Duration::from_secs(60);

fn app(name: &str) -> PathBuf {
    root().join("tests/apps").join(name)
}

/// Asks until the answer has `status`.
#[track_caller]
fn eventually(site: &Site, path: &str, status: u16) -> Answer {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = site.get(path);
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < end, "{path}: {} {}", answer.status, answer.text());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the function has written to its log.
fn output(project: &Project, function: &str) -> String {
    let page = project.client.get(&project.path(&format!("/environments/dev/functions/{function}/logs"))).expect(200);
    let lines = page.json()["lines"].as_array().unwrap().clone();
    lines.iter().map(|line| format!("{}\n", line["message"].as_str().unwrap_or_default())).collect()
}

/// `Resource` or `Resource.Property` of everything that a job lists as unsupported.
fn unsupported(job: &Value) -> Vec<String> {
    let items = job["result"]["unsupported"].as_array().unwrap();
    let name = |item: &Value| match item["property"].as_str() {
        Some(property) => format!("{}.{property}", item["resource"].as_str().unwrap()),
        None => item["resource"].as_str().unwrap().to_owned(),
    };
    assert!(items.iter().all(|item| item["reason"].as_str().is_some_and(|why| !why.is_empty())), "{job:#}");
    items.iter().map(name).collect()
}

#[test]
fn orders_go_through_queue_bucket_and_schedule() {
    let team = Team::start();
    let project = team.import("orders", &app("orders"));
    let job = project.succeeded(project.deploy("dev", "main"));
    let site = Site::of(&team.platform, "dev", "orders");
    assert!(job["result"]["outputs"]["Url"].as_str().unwrap().starts_with("http://dev--orders.localhost"), "{job:#}");

    site.get("/orders/1").expect(404);
    let sent = site.post("/orders", &json!({"id": "1", "item": "lamp"})).expect(202).json();
    assert_eq!(sent["version"], "2.0");
    assert_eq!(
        eventually(&site, "/orders/1", 200).json(),
        json!({"id": "1", "item": "lamp", "confirmed": "ObjectCreated:Put"})
    );

    // One bad message of many goes to the dead letters; those beside it are done once.
    site.post("/orders", &json!({"id": "2", "broken": true})).expect(202);
    site.post("/orders", &json!({"id": "3"})).expect(202);
    eventually(&site, "/orders/3", 200);
    site.get("/orders/2").expect(404);

    let preflight = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")];
    let answer = site.send("OPTIONS", "/orders", &preflight, None).expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"));
    let answer = site.send("GET", "/orders/1", &[("Origin", "https://evil.example")], None).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), None);
    site.send("DELETE", "/orders/1", &[], None).expect(404);

    let path = project.path("/environments/dev/functions/Sweep/invocations");
    project.client.post(&path, &json!({"event": {"from": "hand"}})).expect(200);
    let end = Instant::now() + PATIENCE;
    while !output(&project, "Sweep").contains("swept {\"from\": \"hand\"}") {
        assert!(Instant::now() < end, "{}", output(&project, "Sweep"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(dead_letters(&project, &job), [json!({"id": "2", "broken": true})]);
}

/// What has come to the orders' dead letters, read with the environment's own keys by boto3.
fn dead_letters(project: &Project, job: &Value) -> Vec<Value> {
    let keys = project.client.post(&project.path("/environments/dev/credentials"), &json!({})).expect(200).json();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let script = "import boto3, json, sys\n\
        sqs = boto3.client('sqs')\n\
        for _ in range(30):\n    \
            found = sqs.receive_message(QueueUrl=sys.argv[1], WaitTimeSeconds=2).get('Messages', [])\n    \
            if found: break\n\
        print(json.dumps([json.loads(message['Body']) for message in found]))\n";
    let said = succeed(
        python()
            .args(["-c", script, job["result"]["outputs"]["DeadLetters"].as_str().unwrap()])
            .env("AWS_ACCESS_KEY_ID", text("access_key_id"))
            .env("AWS_SECRET_ACCESS_KEY", text("secret_access_key"))
            .env("AWS_SESSION_TOKEN", keys["session_token"].as_str().unwrap_or_default())
            .env("AWS_DEFAULT_REGION", text("region"))
            .env("AWS_ENDPOINT_URL", text("endpoint")),
    );
    serde_json::from_str(&said).unwrap()
}

#[test]
fn a_guarded_api_lets_in_who_may() {
    let team = Team::start();
    let project = team.import("guarded", &app("guarded"));
    let job = project.succeeded(project.deploy("dev", "main"));
    let listed = unsupported(&job);
    for name in ["Orders", "Everything.SnapStart"] {
        assert!(listed.iter().any(|item| item == name), "{name} in {listed:?}");
    }
    let site = Site::of(&team.platform, "dev", "guarded");
    let ask = |path: &str, token: &str| site.send("GET", path, &[("Authorization", token)], None);

    assert_eq!(site.get("/anything").expect(401).json(), json!({"message": "Unauthorized"}));
    ask("/anything", "Bearer stranger").expect(401);
    ask("/anything", "Bearer thief").expect(403);
    let seen = ask("/a/b%20c?x=1&x=2&y=%26", "Bearer sesame").expect(200);
    let cookies: Vec<&str> = seen.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| v.as_str()).collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(
        seen.json(),
        json!({
            "path": "/a/b%20c", "method": "GET", "proxy": "a/b c", "query": {"x": ["1", "2"], "y": ["&"]},
            "caller": "ali", "cave": "forty", "stage": "v1", "body": null,
        })
    );
    let root = ask("/", "Bearer sesame").expect(200).json();
    assert_eq!((&root["path"], &root["proxy"]), (&json!("/"), &json!(null)));

    // The stage before the path is API Gateway's own address.
    assert_eq!(ask("/v1/deep/er", "Bearer sesame").expect(200).json()["path"], "/deep/er");
    site.get("/v1/deep/er").expect(401);
    assert_eq!(ask("/v1", "Bearer sesame").expect(200).json()["path"], "/");

    let put = site.send("PUT", "/thing", &[("Authorization", "Bearer sesame")], Some("straße".as_bytes())).expect(200);
    assert_eq!((&put.json()["method"], &put.json()["body"]), (&json!("PUT"), &json!("straße")));

    // Routes without the authorizer.
    assert_eq!(site.get("/open").expect(200).json()["caller"], json!(null));
    assert_eq!(site.get("/native").expect(200).text(), "native GET");

    let preflight = [("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST")];
    for path in ["/open", "/any/thing", "/v1/any/thing"] {
        let answer = site.send("OPTIONS", path, &preflight, None).expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://shop.example"), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET,POST"), "{path}");
    }
}

#[test]
fn node_packages_a_layer_and_a_bundle_are_built_from_a_template_in_a_subfolder() {
    let team = Team::start();
    let project = team.import("workshop", &app("workshop"));
    let job = project.succeeded(project.deploy("dev", "main"));
    let listed = unsupported(&job);
    for name in ["News", "Shipped", "Greet.Events.News", "Greet.Events.Ordered"] {
        assert!(listed.iter().any(|item| item == name), "{name} in {listed:?}");
    }
    let site = Site::of(&team.platform, "dev", "workshop");
    let greeting = site.get("/greet/Ada").expect(200).json();
    assert_eq!(greeting, json!({"greeting": "Good day, Ada!", "patience": 7_200_000, "environment": "dev"}));
    let typed = site.get("/typed?a=1").expect(200).json();
    assert_eq!(typed, json!({"method": "GET", "query": "a=1", "minute": 60_000}));
    let address = job["result"]["outputs"]["Greet"].as_str().unwrap();
    assert_eq!(address, format!("http://dev--workshop.localhost:{}/greet/you", team.platform.port()));
}

#[test]
fn tables_keep_what_functions_count() {
    let companion = root().join("target/companions/release/workroom-dynamodb");
    if !companion.exists() {
        eprintln!("not tested: `cargo xtask companions` has not been run");
        return;
    }
    let team = Team::start();
    let project = team.import("counter", &app("counter"));
    project.succeeded(project.deploy("dev", "main"));
    let site = Site::of(&team.platform, "dev", "counter");
    assert_eq!(site.get("/counters/cats").expect(200).json()["seen"], 0);
    for seen in 1..=3 {
        assert_eq!(site.post("/counters/cats", &json!({})).expect(200).json()["seen"], seen);
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let found = site.get("/counters/cats").expect(200).json();
        if found == json!({"seen": 3, "followed": 3}) {
            break;
        }
        assert!(Instant::now() < end, "{found}\n{}", output(&project, "Follow"));
        std::thread::sleep(Duration::from_millis(100));
    }
    // A new version finds the tables as they were.
    project.commit(&[("note.txt", "again")]);
    project.succeeded(project.deploy("dev", "main"));
    assert_eq!(site.get("/counters/cats").expect(200).json()["seen"], 3);
}

#[test]
fn without_the_companion_a_table_is_refused_with_the_command_that_builds_it() {
    let team = Team::on(Platform::start_with(&["--dynamodb", "/nonexistent/workroom-dynamodb"]));
    let template =
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Notes: { Type: AWS::Serverless::SimpleTable }\n";
    let project = team.written("tables", &[("template.yaml", template)]);
    let job = project.deploy("dev", "main");
    assert_eq!(job["state"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("`cargo xtask companions`"), "{job:#}");
}
