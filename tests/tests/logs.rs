//! Logs of functions: followed over REST, and by the stock AWS CLI.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workroom_tests::tools::{aws, fail, run, succeed};
use workroom_tests::{Project, Team};

const PATIENCE: Duration = Duration::from_secs(120);
const FUNCTION: &str = "/environments/dev/functions/GreetFunction";

fn deployed(team: &Team, slug: &str, starter: &str) -> Project {
    let project = team.project(slug, starter);
    project.succeeded(project.deploy("dev", "main"));
    project
}

/// A call that leaves a line with a length of its own.
fn call(project: &Project, length: usize) {
    let event = json!({"queryStringParameters": {"name": "a".repeat(length)}});
    let path = project.path(&format!("{FUNCTION}/invocations"));
    let answer = project.client.post(&path, &json!({ "event": event })).expect(200).json();
    assert_eq!(answer["error"], Value::Null, "{answer:#}");
}

fn said(length: usize) -> String {
    format!("greeting a name of {length} characters")
}

#[test]
fn a_reader_that_follows_gets_each_line_once_and_the_figures() {
    const CALLS: usize = 40;
    let team = Team::start();
    let project = deployed(&team, "follow", "python");
    let callers: Vec<_> = (0..2)
        .map(|half| {
            let project = Project { slug: project.slug.clone(), client: project.client.clone() };
            std::thread::spawn(move || (1..=CALLS).filter(|n| n % 2 == half).for_each(|n| call(&project, n)))
        })
        .collect();
    let path = project.path(&format!("{FUNCTION}/logs"));
    let (mut lines, mut requests, mut cursor) = (Vec::new(), Vec::new(), String::new());
    let end = Instant::now() + PATIENCE;
    while requests.len() < CALLS {
        assert!(Instant::now() < end, "{} of {CALLS} requests", requests.len());
        // Small pages, so that the cursor falls between the lines of a request as well.
        let page = project.client.get(&format!("{path}?wait=5&limit=3&cursor={cursor}")).expect(200).json();
        lines.extend(page["lines"].as_array().unwrap().clone());
        requests.extend(page["requests"].as_array().unwrap().clone());
        page["next"].as_str().unwrap().clone_into(&mut cursor);
    }
    callers.into_iter().for_each(|caller| caller.join().unwrap());

    let ids: BTreeSet<String> = lines.iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(ids.len(), lines.len(), "no line twice");
    for n in 1..=CALLS {
        let found = lines.iter().filter(|line| line["message"].as_str().unwrap().trim() == said(n)).count();
        assert_eq!(found, 1, "call {n}");
    }
    let names: BTreeSet<String> = requests.iter().map(|r| r["request_id"].to_string()).collect();
    assert_eq!(names.len(), CALLS, "the figures of each request once");
    for request in &requests {
        let duration = request["duration_ms"].as_f64().unwrap();
        let billed = request["billed_duration_ms"].as_f64().unwrap();
        assert!(duration > 0.0 && billed + 1.0 > duration, "{request:#}");
        assert!(request["memory_mb"].as_u64().unwrap() >= 128, "{request:#}");
        // The emulator does not measure memory, and does not tell which call was the first.
        if !team.platform.is_deployed() {
            assert!(request["max_memory_used_mb"].as_u64().unwrap() > 0, "{request:#}");
        }
        assert_eq!(request["cold_start"] == true, request["init_duration_ms"].is_number(), "{request:#}");
    }
    assert!(team.platform.is_deployed() || requests.iter().any(|r| r["cold_start"] == true));
    assert!(requests.iter().any(|r| r["cold_start"] == false));
    let whole = project.client.get(&format!("{path}?limit=1000")).expect(200).json();
    let stored: BTreeSet<String> =
        whole["lines"].as_array().unwrap().iter().map(|line| line["id"].to_string()).collect();
    assert_eq!(stored, ids, "what was followed is what there is");
    project.client.get(&format!("{path}?cursor=made-up")).expect(400);
}

#[test]
fn a_read_that_waits_wakes_with_the_line() {
    let team = Team::start();
    let project = deployed(&team, "wake", "python");
    call(&project, 1);
    let path = project.path(&format!("{FUNCTION}/logs"));
    // The log is written a moment after the answer leaves.
    let end = Instant::now() + PATIENCE;
    let next = loop {
        let page = project.client.get(&format!("{path}?limit=1000")).expect(200).json();
        if !page["requests"].as_array().unwrap().is_empty() {
            break page["next"].as_str().unwrap().to_owned();
        }
        assert!(Instant::now() < end, "{page:#}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let reader = {
        let client = project.client.clone();
        std::thread::spawn(move || client.get(&format!("{path}?cursor={next}&wait=20")).expect(200).json())
    };
    std::thread::sleep(Duration::from_millis(500));
    assert!(!reader.is_finished(), "there is nothing to read yet");
    call(&project, 2);
    let page = reader.join().unwrap();
    assert!(!page["lines"].as_array().unwrap().is_empty(), "{page:#}");
}

/// `aws logs tail --follow`, ended with the test.
struct Tail {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
}

impl Tail {
    fn of(team: &Team, credentials: &Value, group: &str) -> Self {
        let mut command = aws(&format!("http://{}", team.platform.services.trim_start_matches("http://")), credentials);
        command.args(["logs", "tail", group, "--follow", "--since", "1h", "--format", "short"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, heard: Vec::new() }
    }

    fn hear(&mut self, text: &str) {
        while !self.heard.iter().any(|line| line.contains(text)) {
            let line = self.lines.recv_timeout(PATIENCE);
            self.heard.push(line.unwrap_or_else(|error| panic!("no `{text}`: {error}\n{:#?}", self.heard)));
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // It follows until it is ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn credentials(project: &Project) -> Value {
    project.client.post(&project.path("/environments/dev/credentials"), &json!({})).expect(200).json()
}

#[test]
fn the_stock_aws_cli_follows_the_same_lines_and_only_its_own() {
    if workroom_tests::deployed::leaves_out("what a role may read is IAM's to decide, which the emulator does not play")
    {
        return;
    }
    let team = Team::start();
    let project = deployed(&team, "tailed", "python");
    let functions = project.client.get(&project.path("/environments/dev/functions")).expect(200).json();
    let function = functions["items"].as_array().unwrap().iter().find(|f| f["id"] == "GreetFunction").unwrap().clone();
    let group = format!("/aws/lambda/{}", function["name"].as_str().unwrap());
    assert_eq!(function["log_group"], group.as_str());
    call(&project, 1);
    let own = credentials(&project);
    let mut tail = Tail::of(&team, &own, &group);
    tail.hear(&said(1));
    for round in [2..=4, 5..=6] {
        round.clone().for_each(|n| call(&project, n));
        round.for_each(|n| tail.hear(&said(n)));
    }
    let stored = project.client.get(&project.path(&format!("{FUNCTION}/logs?limit=1000"))).expect(200).json();
    let stored: Vec<String> =
        stored["lines"].as_array().unwrap().iter().map(|l| l["message"].as_str().unwrap().trim().to_owned()).collect();
    tail.hear(stored.last().unwrap());
    let heard: Vec<&str> =
        tail.heard.iter().filter(|line| !line.is_empty()).map(|line| line.split_once(' ').unwrap().1.trim()).collect();
    let mut told = heard.clone();
    told.sort_unstable();
    let mut wanted: Vec<&str> = stored.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(told, wanted, "the same lines, each once");

    let endpoint = format!("http://{}", team.platform.services.trim_start_matches("http://"));
    let other = credentials(&deployed(&team, "neighbour", "empty"));
    let refused = fail(aws(&endpoint, &other).args(["logs", "tail", &group, "--since", "1h"]));
    assert!(refused.contains("ResourceNotFoundException"), "{refused}");
    let groups = succeed(aws(&endpoint, &other).args(["logs", "describe-log-groups", "--output", "json"]));
    assert!(!groups.contains("tailed"), "{groups}");
    let wrong = json!({"access_key_id": own["access_key_id"], "secret_access_key": "wrong", "region": own["region"], "session_token": own["session_token"]});
    let refused = run(aws(&endpoint, &wrong).args(["logs", "tail", &group, "--since", "1h"]));
    assert!(!refused.status.success());
    assert!(!String::from_utf8_lossy(&refused.stdout).contains("greeting"));
}
