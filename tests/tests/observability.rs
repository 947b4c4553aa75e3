//! What the platform writes of itself: one id through all that a request sets off, and never a secret.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use workroom_tests::{Platform, Socket, Team, address, deployed};

#[test]
fn one_correlation_id_is_seen_from_the_request_to_the_socket() {
    if deployed::leaves_out("the log of the platform's process is read") {
        return;
    }
    let team = Team::on(Platform::start_with(&["--log", "debug"]));
    let project = team.project("traced", "empty");
    let mut socket = Socket::open(&team.person, &team.platform.origin());
    socket.subscribe(&project.slug, None);

    let id = "one-id-for-all.7";
    let headers = [("Content-Type", "application/json"), ("X-Correlation-Id", id)];
    let body = json!({ "ref": "main" }).to_string();
    let answer = team.person.send("POST", &project.path("/builds"), &headers, Some(body.as_bytes())).expect(202);
    let job = answer.json()["id"].as_str().unwrap().to_owned();
    let resource = format!("job/{job}");
    let is_end = |message: &Value| {
        let event = &message["event"];
        event["resource"] == resource && matches!(event["detail"]["state"].as_str(), Some("succeeded" | "failed"))
    };
    let heard = socket.hear_until(is_end);
    let told: Vec<&Value> = heard.iter().filter(|message| message["event"]["resource"] == resource).collect();
    assert!(told.len() >= 3, "asked for, begun and ended are told: {heard:#?}");
    for message in told {
        assert_eq!(message["event"]["correlation_id"], id, "{message:#}");
    }

    let events = project.client.get(&project.path("/events?limit=100")).expect(200).json();
    let own = events["items"].as_array().unwrap().iter().filter(|event| event["correlation_id"] == id).count();
    assert!(own >= 3, "{events:#}");
    // The route's function, the worker and the fan-out: each says it in its own log.
    for mark in ["answered", "job ended", "delivered"] {
        team.platform.until_printed(|line| line.contains(mark) && line.contains(id), mark);
    }
}

#[test]
fn secrets_bodies_and_addresses_are_never_printed() {
    if deployed::leaves_out("the log of the platform's process is read") {
        return;
    }
    let team = Team::on(Platform::start_with(&["--log", "debug"]));
    let platform = &team.platform;
    let project = team.project("quiet", "empty");
    let mut secrets: Vec<(String, &str)> = Vec::new();

    let password = "a-password-nobody-prints-4711";
    let email = "nobody-prints-me@example.com";
    platform.anonymous().post("/sessions", &json!({ "email": email, "password": password })).expect(401);
    secrets.extend([(password.to_owned(), "the password of a sign-in that failed"), (email.to_owned(), "an address")]);

    let signed_in = platform
        .anonymous()
        .post("/sessions", &json!({ "email": platform.admin_email, "password": platform.admin_password }));
    let signed_in = signed_in.expect(201).json();
    for name in ["access_token", "refresh_token"] {
        if let Some(token) = signed_in[name].as_str() {
            secrets.push((token.to_owned(), "a token of a session"));
        }
    }
    let token = project.token();
    platform.anonymous().with_token(&token).get(&project.path("")).expect(200);
    secrets.push((token, "a personal access token"));

    let ticket = team.person.post("/socket-tickets", &json!({})).expect(201).json();
    let mut socket = Socket::connect(&address(&ticket), &platform.origin()).unwrap();
    socket.say(&json!({ "action": "ping" }));
    assert_eq!(socket.hear()["type"], "pong");
    let ticket = ticket["ticket"].as_str().unwrap().to_owned();
    secrets.push((ticket, "a ticket"));

    let content = "a-body-that-nobody-prints";
    project.commit(&[("note.txt", content)]);
    secrets.push((content.to_owned(), "a file's content"));

    let digest = hex::encode(Sha256::digest(content));
    let upload = json!({ "path": "a.txt", "length": content.len(), "sha256": digest, "content_type": "text/plain" });
    let upload = team.person.post(&project.path("/uploads"), &upload).expect(201).json();
    let url = upload["put"]["url"].as_str().unwrap();
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap()[..64].to_owned();
    secrets.push((signature, "a presigned signature"));

    let printed = platform.printed();
    assert!(printed.matches("answered").count() > 5, "the log is there: {printed}");
    for (secret, what) in secrets {
        let line = printed.lines().find(|line| line.contains(&secret));
        assert!(line.is_none(), "{what} is printed: {}", line.unwrap_or_default());
    }
}
