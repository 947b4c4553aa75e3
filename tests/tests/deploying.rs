//! Build, deploy, serve, invoke, log: the starters and what is done with them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workroom_tests::{Client, Project, Site, Team, deployed};

fn serves(starter: &str) {
    let team = Team::start();
    let project = team.project("app", starter);
    let job = project.succeeded(project.build("main"));
    assert_eq!(job["result"]["artifacts"].as_array().unwrap().len(), 3, "{job:#}");
    assert!(!project.log(job["id"].as_str().unwrap()).is_empty());
    let job = project.succeeded(project.deploy("dev", "main"));
    let site = Site::at(&team.platform, job["result"]["url"].as_str().unwrap_or_else(|| panic!("{job:#}")));
    let page = site.get("/").expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.text().contains("<title>Starter</title>"));
    assert!(site.get("/main.js").expect(200).text().contains("api/greeting"));
    // To CloudFront, which may not list the bucket, S3 says that what is absent is forbidden.
    site.get("/absent.js").expect(if team.platform.is_deployed() { 403 } else { 404 });
    let api = site.api(&team.platform, &project.slug, "dev");
    let greeting = api.get("/api/greeting?name=Ada").expect(200).json();
    assert_eq!(greeting, json!({"greeting": "Hello, Ada!", "environment": "dev"}));
    let taken = api.post("/api/feedback", &json!({"message": "good"})).expect(201);
    assert_eq!(taken.json()["length"], 4);
    api.post("/api/feedback", &json!({})).expect(400);

    invokes(&project, team.platform.is_deployed());
    logs(&project, team.platform.is_deployed());
}

fn invokes(project: &Project, deployed: bool) {
    let path = project.path("/environments/dev/functions/GreetFunction/invocations");
    let answer = project.client.post(&path, &json!({"event_path": "events/greet.json"})).expect(200).json();
    let body: Value = serde_json::from_str(answer["result"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["greeting"], "Hello, Ada!");
    if deployed {
        // The emulator's Invoke answers without the end of the log.
        return;
    }
    assert!(answer["log_tail"].as_str().unwrap().contains("REPORT RequestId"), "{answer:#}");
    assert!(answer["report"]["duration_ms"].as_f64().unwrap() > 0.0);
    assert!(answer["report"]["billed_duration_ms"].as_u64().unwrap() >= 1);
}

fn logs(project: &Project, deployed: bool) {
    let path = project.path("/environments/dev/functions/GreetFunction/logs");
    // The log is written a moment after the answer leaves: one call through the site, one by the API.
    let end = Instant::now() + Duration::from_secs(20);
    let page = loop {
        let page = project.client.get(&path).expect(200).json();
        if page["requests"].as_array().unwrap().len() >= 2 {
            break page;
        }
        assert!(Instant::now() < end, "{page:#}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let kinds: Vec<&str> = page["lines"].as_array().unwrap().iter().map(|l| l["kind"].as_str().unwrap()).collect();
    for kind in ["start", "output", "end", "report"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let requests = page["requests"].as_array().unwrap();
    // The emulator does not tell which call was the first.
    let cold = requests.iter().any(|r| r["cold_start"] == true && r["init_duration_ms"].is_number());
    assert!(cold || deployed, "{requests:#?}");
    assert!(requests.iter().any(|r| r["cold_start"] == false), "{requests:#?}");
    let next = page["next"].as_str().unwrap();
    let rest = project.client.get(&format!("{path}?cursor={next}")).expect(200).json();
    assert_eq!(rest["lines"], json!([]), "reading on repeats nothing");
}

#[test]
fn the_python_starter_serves() {
    serves("python");
}

#[test]
fn the_node_starter_serves() {
    serves("node");
}

#[test]
fn the_empty_starter_deploys_and_says_what_it_has() {
    let team = Team::start();
    let project = team.project("bare", "empty");
    let job = project.succeeded(project.deploy("dev", "main"));
    assert_eq!(job["result"]["outputs"]["Environment"], "development", "{job:#}");
}

#[test]
fn a_new_version_replaces_the_old_one_without_a_failed_request() {
    if deployed::leaves_out("on AWS CloudFormation replaces the versions, and CloudFront keeps the old page a while") {
        return;
    }
    let team = Team::start();
    let project = team.project("swap", "python");
    let job = project.succeeded(project.deploy("dev", "main"));
    assert_eq!(job["result"]["url"], format!("http://dev--swap.localhost:{}/", team.platform.port()), "{job:#}");
    let stop = Arc::new(AtomicBool::new(false));
    let port = team.platform.port();
    let visitors: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let client = Client::new(&format!("http://127.0.0.1:{port}"));
                let host = format!("dev--swap.localhost:{port}");
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.send("GET", "/api/greeting", &[("Host", &host)], None);
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    seen.push(answer.json()["greeting"].as_str().unwrap().to_owned());
                    std::thread::sleep(Duration::from_millis(10));
                }
                seen
            })
        })
        .collect();
    let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
    let source = project.client.get(&project.path("/file?ref=main&path=functions/greet/app.py")).expect(200).text();
    let body = json!({
        "branch": "main", "expected_head": head, "message": "greet otherwise",
        "changes": [{"action": "put", "path": "functions/greet/app.py", "content": source.replace("Hello, ", "Welcome, ")}],
    });
    project.client.post(&project.path("/commits"), &body).expect(201);
    project.succeeded(project.deploy("dev", "main"));
    std::thread::sleep(Duration::from_millis(500));
    stop.store(true, Ordering::Relaxed);
    for visitor in visitors {
        let seen = visitor.join().unwrap();
        assert_eq!(seen.first().unwrap(), "Hello, world!");
        assert_eq!(seen.last().unwrap(), "Welcome, world!");
        let first_new = seen.iter().position(|g| g == "Welcome, world!").unwrap();
        assert!(seen[first_new..].iter().all(|g| g == "Welcome, world!"), "the old version came back");
    }
}

#[test]
fn a_cancelled_build_ends_and_leaves_no_process() {
    if deployed::leaves_out("a function's processes are not to be seen") {
        return;
    }
    let team = Team::start();
    let project = team.project("long", "empty");
    let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Slow:\n    Type: AWS::Serverless::Function\n    \
        Metadata: { BuildMethod: makefile }\n    Properties: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: . }\n";
    let marker = format!("31536{}", std::process::id());
    let makefile = format!("build-Slow:\n\ttrap '' TERM; (setsid sleep {marker} &) ; echo started; sleep {marker}\n");
    let body = json!({
        "branch": "main", "expected_head": head, "message": "slow",
        "changes": [
            {"action": "put", "path": "template.yaml", "content": template},
            {"action": "put", "path": "Makefile", "content": makefile},
        ],
    });
    project.client.post(&project.path("/commits"), &body).expect(201);
    let job = project.client.post(&project.path("/builds"), &json!({"ref": "main"})).expect(202).json();
    let id = job["id"].as_str().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while !project.log(id).contains("started") {
        assert!(Instant::now() < end, "{}", project.log(id));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(processes(&marker) > 0, "the build runs");
    let answer = project.client.post(&project.path(&format!("/jobs/{id}/cancellation")), &json!({}));
    assert!([200, 202].contains(&answer.status), "{}", answer.text());
    assert_eq!(project.wait(id)["state"], "cancelled");
    let end = Instant::now() + Duration::from_secs(10);
    while processes(&marker) > 0 {
        assert!(Instant::now() < end, "a process of the build is left");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes whose command line is `sleep {marker}`.
fn processes(marker: &str) -> usize {
    let wanted = format!("sleep\0{marker}\0");
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|e| std::fs::read(e.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())).count()
}

#[test]
fn a_broken_build_fails_with_the_reason_and_nothing_is_deployed() {
    let team = Team::start();
    let project = team.project("broken", "empty");
    let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
    let template = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    \
        Properties: { Runtime: cobol85, Handler: a.b, CodeUri: . }\n";
    let body = json!({
        "branch": "main", "expected_head": head, "message": "broken",
        "changes": [{"action": "put", "path": "template.yaml", "content": template}],
    });
    project.client.post(&project.path("/commits"), &body).expect(201);
    let job = project.deploy("dev", "main");
    assert_eq!(job["state"], "failed", "{job:#}");
    assert!(job["error"].as_str().unwrap().contains("cobol85"), "{job:#}");
    let environment = project.client.get(&project.path("/environments/dev")).json();
    assert!(environment["release"].is_null(), "{environment:#}");
}
