//! People over REST and the socket, as pages use them: invitations, resets, members, presence, settings.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use workroom_tests::{Client, Socket, Team};

const NEW: &str = "a password that is new";

/// The origin of the platform's own pages.
fn origin(team: &Team) -> String {
    team.platform.address.trim_end_matches('/').to_owned()
}

#[test]
fn an_invited_person_sets_a_password_and_is_out_when_disabled() {
    let team = Team::start();
    let email = team.platform.own_email("eve@example.com");
    let new = json!({ "email": email, "name": "Eve", "invite": true });
    team.person.post("/accounts", &new).expect(403);
    let made = team.admin.post("/accounts", &new).expect(201).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let nobody = Client::new(&team.platform.address);
    let redeem = |token: &Value, password: &str| {
        nobody.post("/password-resets", &json!({ "token": token, "password": password })).status
    };
    let token = &made["invitation"]["token"];
    assert_eq!(redeem(token, "short"), 422);
    assert_eq!(redeem(&json!("wri_invented"), NEW), 422);
    assert_eq!(redeem(token, NEW), 204);
    assert_eq!(redeem(token, NEW), 422);
    let eve = team.platform.sign_in(&email, NEW);
    eve.get("/me").expect(200);

    let reset = team.admin.post(&format!("/accounts/{id}/password-resets"), &json!({})).expect(201).json();
    assert_eq!(redeem(&reset["url_fragment_token"], "another new password"), 204);
    eve.get("/me").expect(401);
    let eve = team.platform.sign_in(&email, "another new password");

    let socket = Socket::open(&eve, &origin(&team));
    let account = team.admin.get(&format!("/accounts/{id}")).expect(200);
    let etag = account.header("etag").unwrap().to_owned();
    let disable = json!({ "disabled": true });
    team.admin.json("PATCH", &format!("/accounts/{id}"), &[("If-Match", &etag)], &disable).expect(200);
    eve.get("/me").expect(401);
    socket.until_closed();
    let found = team.admin.get(&format!("/accounts?q={}", email.replace('@', "%40"))).expect(200).json();
    assert_eq!((found["items"].as_array().unwrap().len(), &found["items"][0]["disabled"]), (1, &json!(true)));
}

#[test]
fn members_are_added_by_address_and_see_each_other() {
    let team = Team::start();
    let project = team.project("shop", "empty");
    let email = team.platform.own_email("bea@example.com");
    let bea = workroom_tests::join(&team.platform, &team.admin, "bea@example.com", "Bea", NEW);
    let add =
        |email: &str| project.client.post(&project.path("/members"), &json!({ "email": email, "role": "developer" }));
    assert_eq!(add("nobody@example.com").expect(422).json()["field"], "email");
    add(&email).expect(201);
    add(&email).expect(409);

    let (mut first, mut second) = (Socket::open(&project.client, &origin(&team)), Socket::open(&bea, &origin(&team)));
    first.subscribe(&project.slug, None);
    second.subscribe(&project.slug, None);
    let at = json!({ "action": "presence", "project": project.slug, "branch": "main", "path": "README.md" });
    second.say(&at);
    let heard = first.hear_until(|m| m["type"] == "presence" && m["people"] != json!([]));
    let bea_there = &heard.last().unwrap()["people"][0];
    assert_eq!((&bea_there["name"], &bea_there["path"]), (&json!("Bea"), &json!("README.md")));
    let people = project.client.get(&project.path("/presence")).expect(200).json();
    assert_eq!(people["people"][0]["name"], "Bea");

    // A colleague's draft is seen, and so is that she has left.
    let draft = project.path("/draft?branch=main&path=README.md");
    bea.send("PUT", &draft, &[("If-None-Match", "*")], Some(b"Bea was here")).expect(201);
    let drafts = project.path("/drafts?branch=main&path=README.md&everyone=true");
    let seen = project.client.get(&drafts).expect(200).json();
    assert_eq!((&seen["items"][0]["name"], &seen["items"][0]["deleted"]), (&json!("Bea"), &json!(false)));
    let account = seen["items"][0]["account"].as_str().unwrap().to_owned();
    assert_eq!(project.client.get(&format!("{draft}&account={account}")).expect(200).text(), "Bea was here");
    drop(second);
    first.hear_until(|m| m["type"] == "presence" && m["people"] == json!([]));
}

#[test]
fn a_deletion_draft_is_committed_and_settings_follow_a_person() {
    let team = Team::start();
    let project = team.written("gone", &[("old.txt", "old")]);
    let draft = project.path("/draft?branch=main&path=old.txt&deleted=true");
    let refused = project.client.send("PUT", &draft, &[("If-None-Match", "*")], Some(b"text")).expect(422);
    assert_eq!(refused.json()["field"], "deleted");
    project.client.send("PUT", &draft, &[("If-None-Match", "*")], Some(b"")).expect(201);
    project.client.get(&project.path("/draft?branch=main&path=old.txt")).expect(204);
    let head = project.client.get(&project.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let commit = json!({ "branch": "main", "expected_head": head, "message": "gone", "drafts": ["old.txt"] });
    project.client.post(&project.path("/commits"), &commit).expect(201);
    project.client.get(&project.path("/file?ref=main&path=old.txt")).expect(404);

    let first = project.client.get("/me/settings").expect(200);
    assert_eq!(first.json(), json!({ "settings": {} }));
    let etag = first.header("etag").unwrap().to_owned();
    let body = json!({ "settings": { "theme": "dark" } });
    project.client.json("PUT", "/me/settings", &[], &body).expect(428);
    project.client.json("PUT", "/me/settings", &[("If-Match", &etag)], &body).expect(200);
    project.client.json("PUT", "/me/settings", &[("If-Match", &etag)], &body).expect(412);
    assert_eq!(project.client.get("/me/settings").expect(200).json(), body);
    let found = project.client.post(
        &project.path("/diagnostics"),
        &json!({ "path": "template.yaml", "content": "Resources:\n  A:\n    Type: AWS::SNS::Topic\n    Properties: {TopicName: !Ref Nope}\n" }),
    );
    let found = found.expect(200).json();
    assert_eq!((&found["items"][0]["line"], &found["items"][0]["code"]), (&json!(4), &json!("unresolved-reference")));
}
