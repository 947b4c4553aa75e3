//! Events and logs over WebSocket: tickets, order, going on after a break, who may listen.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use workroom_tests::tools::{git, succeed};
use workroom_tests::{Project, Socket, Team, address, deployed, join};

/// A Makefile build that says when it started and goes on for a while.
const SLOW_TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Slow:\n    Type: AWS::Serverless::Function\n    \
    Metadata: { BuildMethod: makefile }\n    Properties: { Runtime: provided.al2023, Handler: bootstrap, CodeUri: . }\n";
const SLOW_MAKEFILE: &str = "build-Slow:\n\tfor n in 1 2 3 4 5 6; do echo step-$$n; sleep 0.5; done\n\tcp Makefile $(ARTIFACTS_DIR)/bootstrap\n";

fn commit(project: &Project, files: &[(&str, &str)]) {
    let head = project.client.get(&project.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let changes: Vec<Value> =
        files.iter().map(|(path, content)| json!({"action": "put", "path": path, "content": content})).collect();
    let body = json!({"branch": "main", "expected_head": head, "message": "write", "changes": changes});
    project.client.post(&project.path("/commits"), &body).expect(201);
}

fn sequence(message: &Value) -> u64 {
    message["sequence"].as_u64().unwrap_or_else(|| panic!("{message:#}"))
}

/// All that the project's journal has, in order.
fn journal(project: &Project) -> Vec<Value> {
    let mut events = Vec::new();
    let mut after = 0;
    loop {
        let page = project.client.get(&project.path(&format!("/events?after={after}"))).expect(200).json();
        let items = page["items"].as_array().unwrap().clone();
        let Some(last) = items.last() else { return events };
        after = sequence(last);
        events.extend(items);
    }
}

fn save_draft(project: &Project, number: usize) {
    let path = project.path(&format!("/draft?branch=main&path=draft-{number}.txt"));
    let headers = [("Content-Type", "application/octet-stream"), ("If-None-Match", "*")];
    let answer = project.client.send("PUT", &path, &headers, Some(b"draft"));
    assert!(answer.status < 300, "{}", answer.text());
}

#[test]
fn a_ticket_opens_one_connection_from_our_own_pages() {
    let team = Team::start();
    let own = team.platform.origin();
    let ticket = team.person.post("/socket-tickets", &json!({})).expect(201).json();
    let url = address(&ticket);
    assert_eq!(Socket::connect(&url, "http://evil.example").err(), Some(403));
    let site = format!("http://dev--app.localhost:{}", team.platform.port());
    assert_eq!(Socket::connect(&url, &site).err(), Some(403), "a user's site is not the platform");
    let mut socket = Socket::connect(&url, &own).unwrap_or_else(|status| panic!("{status}"));
    socket.say(&json!({"action": "ping"}));
    assert_eq!(socket.hear()["type"], "pong");
    let url_alone = ticket["url"].as_str().unwrap();
    for (why, refused) in [
        ("a ticket is good once", url.clone()),
        ("there is no ticket", url_alone.to_owned()),
        ("nobody gave that ticket", format!("{url_alone}?ticket=made-up")),
    ] {
        let status = Socket::connect(&refused, &own).err();
        // The emulator answers each refusal of `$connect` with 403, whatever the function said.
        let expected = if team.platform.is_deployed() { 403 } else { 401 };
        assert_eq!(status, Some(expected), "{why}");
    }
    team.platform.anonymous().post("/socket-tickets", &json!({})).expect(401);
    socket.say(&json!({"action": "dance"}));
    assert_eq!(socket.hear()["type"], "error", "what is not a message is answered");
    socket.say(&json!({"action": "subscribe", "project": "absent"}));
    assert_eq!(socket.hear()["type"], "error");
}

#[test]
fn a_builds_events_and_a_push_arrive_in_order_at_two_clients() {
    let team = Team::start();
    let project = team.project("watched", "empty");
    let mut first = Socket::open(&team.person, &team.platform.origin());
    let mut second = Socket::open(&team.person, &team.platform.origin());
    first.subscribe(&project.slug, None);
    second.subscribe(&project.slug, Some(0));

    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&team.platform), "work"]));
    let work = folder.path().join("work");
    succeed(&mut git(&work, &["commit", "-q", "--allow-empty", "-m", "pushed"]));
    succeed(&mut git(&work, &["push", "-q", "origin", "main"]));
    let job = project.succeeded(project.build("main"));

    let is_end = |m: &Value| {
        let event = &m["event"];
        event["type"] == "job.updated" && event["detail"]["state"] == "succeeded"
    };
    let heard: Vec<_> = first.hear_until(is_end).into_iter().filter(|m| m["type"] == "event").collect();
    let kinds: Vec<&str> = heard.iter().map(|m| m["event"]["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"git.pushed"), "{kinds:?}");
    let states: Vec<&str> = heard
        .iter()
        .filter(|m| m["event"]["resource"] == format!("job/{}", job["id"].as_str().unwrap()))
        .map(|m| m["event"]["detail"]["state"].as_str().unwrap())
        .collect();
    assert_eq!(states.first(), Some(&"queued"), "{states:?}");
    assert!(states.contains(&"running"), "{states:?}");
    assert_eq!(states.iter().filter(|s| **s == "succeeded").count(), 1, "{states:?}");

    let sequences: Vec<u64> = heard.iter().map(sequence).collect();
    let expected: Vec<u64> = (sequences[0]..).take(sequences.len()).collect();
    assert_eq!(sequences, expected);
    let also: Vec<u64> = second.hear_until(is_end).iter().filter(|m| m["type"] == "event").map(sequence).collect();
    assert!(also.ends_with(&sequences), "{also:?} {sequences:?}");
    let told: Vec<Value> = heard.iter().map(|m| m["event"].clone()).collect();
    assert!(journal(&project).ends_with(&told), "the socket tells what the journal has");
}

#[test]
fn a_client_that_comes_back_has_no_gap_and_no_repeat() {
    const DRAFTS: usize = 120;
    let team = Team::start();
    let project = team.project("broken", "empty");
    let mut socket = Socket::open(&team.person, &team.platform.origin());
    let mut seen: Vec<Value> = socket.subscribe(&project.slug, Some(0));
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (project, done) = (Project { slug: project.slug.clone(), client: project.client.clone() }, done.clone());
        std::thread::spawn(move || {
            (0..DRAFTS).for_each(|number| save_draft(&project, number));
            done.store(true, Ordering::Release);
        })
    };
    let mut breaks = 0;
    // The connection breaks after a few events, wherever that is, and another goes on from the last event that came.
    while !done.load(Ordering::Acquire) {
        let mut few = 0;
        while few < 7 && sequence(seen.last().unwrap()) < DRAFTS as u64 {
            let message = socket.hear();
            if message["type"] == "event" {
                seen.push(message);
                few += 1;
            }
        }
        drop(socket);
        breaks += 1;
        socket = Socket::open(&team.person, &team.platform.origin());
        seen.extend(socket.subscribe(&project.slug, Some(sequence(seen.last().unwrap()))));
    }
    writer.join().unwrap();
    let journal = journal(&project);
    while sequence(seen.last().unwrap()) < sequence(journal.last().unwrap()) {
        let message = socket.hear();
        assert_eq!(message["type"], "event", "{message:#}");
        seen.push(message);
    }
    assert!(breaks > 2, "{breaks}");
    let told: Vec<Value> = seen.iter().map(|m| m["event"].clone()).collect();
    assert_eq!(told, journal);
}

#[test]
fn a_removed_member_hears_no_further_event() {
    let team = Team::start();
    let project = team.project("club", "empty");
    let member = join(&team.platform, &team.admin, "bob@example.com", "Bob", "yet another password");
    let id = member.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let path = project.path(&format!("/members/{id}"));
    assert!(project.client.put(&path, &json!({"role": "developer"})).status < 300);
    let mut socket = Socket::open(&member, &team.platform.origin());
    let mut owner = Socket::open(&team.person, &team.platform.origin());
    socket.subscribe(&project.slug, None);
    owner.subscribe(&project.slug, None);
    save_draft(&project, 1);
    assert_eq!(socket.hear()["event"]["type"], "draft.saved");

    assert!(project.client.delete(&path).status < 300);
    for number in 2..6 {
        save_draft(&project, number);
    }
    // What the owner hears, the feed has passed on: the member had its turn.
    let mut saved = 0;
    owner
        .hear_until(|m| {
            let counted = m["event"]["type"] == "draft.saved";
            counted && m["event"]["detail"]["path"] == "draft-5.txt"
        })
        .iter()
        .for_each(|_| saved += 1);
    assert!(saved >= 6, "{saved}");
    let mut heard = socket.hear_until(|m| m["type"] == "unsubscribed");
    socket.say(&json!({"action": "ping"}));
    heard.extend(socket.hear_until(|m| m["type"] == "pong"));
    assert!(heard.iter().all(|m| m["type"] != "event"), "{heard:#?}");
    socket.say(&json!({"action": "subscribe", "project": project.slug, "after": 0}));
    assert_eq!(socket.hear()["type"], "error");
}

#[test]
fn a_builds_log_comes_while_it_runs() {
    if deployed::leaves_out(
        "the emulator passes a streamed answer on when it is whole, and no makefile builds on Lambda",
    ) {
        return;
    }
    let team = Team::start();
    let project = team.project("slow", "empty");
    commit(&project, &[("template.yaml", SLOW_TEMPLATE), ("Makefile", SLOW_MAKEFILE)]);
    let mut socket = Socket::open(&team.person, &team.platform.origin());
    let job = project.client.post(&project.path("/builds"), &json!({"ref": "main"})).expect(202).json();
    let id = job["id"].as_str().unwrap();
    socket.say(&json!({"action": "tail", "project": project.slug, "job": id}));
    let has = |m: &Value, text: &str| {
        let lines = m["lines"].as_array().into_iter().flatten();
        lines.filter(|line| line["message"].as_str().unwrap().trim() == text).count() > 0
    };
    let mut heard = socket.hear_until(|m| has(m, "step-1"));
    let state = project.client.get(&project.path(&format!("/jobs/{id}"))).expect(200).json()["state"].clone();
    assert_eq!(state, "running", "lines come while the build runs");
    heard.extend(socket.hear_until(|m| m["type"] == "tail_ended"));
    project.succeeded(project.wait(id));

    let lines = |messages: &[Value]| -> Vec<Value> {
        messages
            .iter()
            .flat_map(|m| m["lines"].as_array().cloned().unwrap_or_default())
            .map(|l| l["id"].clone())
            .collect()
    };
    let stored = project.client.get(&project.path(&format!("/jobs/{id}/log?limit=1000"))).expect(200).json();
    assert_eq!(lines(&heard), lines(&[stored]), "the same lines, each once");
}

#[test]
fn a_functions_log_is_followed_over_the_socket() {
    let team = Team::start();
    let project = team.project("live", "python");
    project.succeeded(project.deploy("dev", "main"));
    let path = project.path("/environments/dev/functions/GreetFunction");
    let invoke = || {
        let event = json!({"event": {"queryStringParameters": {"name": "Ada"}}});
        project.client.post(&format!("{path}/invocations"), &event).expect(200);
    };
    let mut socket = Socket::open(&team.person, &team.platform.origin());
    let tail = json!({"action": "tail", "project": project.slug, "environment": "dev", "function": "GreetFunction"});
    socket.say(&tail);
    assert_eq!(socket.hear()["type"], "tailing");
    let mut heard = Vec::new();
    let reports =
        |messages: &[Value]| messages.iter().map(|m| m["requests"].as_array().map_or(0, Vec::len)).sum::<usize>();
    for round in 1..=4 {
        invoke();
        while reports(&heard) < round {
            heard.push(socket.hear());
        }
    }
    let lines: Vec<Value> = heard.iter().flat_map(|m| m["lines"].as_array().cloned().unwrap_or_default()).collect();
    let stored = project.client.get(&format!("{path}/logs?limit=1000")).expect(200).json();
    let ids = |lines: &[Value]| lines.iter().map(|l| l["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&lines), ids(stored["lines"].as_array().unwrap()));
    let outsider = join(&team.platform, &team.admin, "eve@example.com", "Eve", "another long password");
    let mut closed = Socket::open(&outsider, &team.platform.origin());
    closed.say(&tail);
    assert_eq!(closed.hear()["type"], "error");
}

#[test]
fn signing_out_and_a_stolen_refresh_token_close_the_sockets_of_that_session_alone() {
    const PASSWORD: &str = "one more long password";
    let team = Team::start();
    let origin = team.platform.origin();
    let leaving = join(&team.platform, &team.admin, "sam@example.com", "Sam", PASSWORD);
    let email = team.platform.own_email("sam@example.com");
    let staying = team.platform.sign_in(&email, PASSWORD);
    let told = team.platform.anonymous().post("/sessions", &json!({"email": email, "password": PASSWORD}));
    let session = told.expect(201).json();
    let stolen = team.platform.anonymous().with_token(session["access_token"].as_str().unwrap());
    let (one, two) = (Socket::open(&leaving, &origin), Socket::open(&stolen, &origin));
    let mut other = Socket::open(&staying, &origin);

    assert!(leaving.delete("/sessions/current").status < 300);
    one.until_closed();

    let refresh = json!({"refresh_token": session["refresh_token"]});
    team.platform.anonymous().post("/sessions/refresh", &refresh).expect(200);
    team.platform.anonymous().post("/sessions/refresh", &refresh).expect(401);
    two.until_closed();

    other.say(&json!({"action": "ping"}));
    assert_eq!(other.hear()["type"], "pong");
}
