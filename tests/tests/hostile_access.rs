//! Bad input about who is calling: JWT-*, AUTHN-*, AUTHZ-*, and the web cases of an API (WEB-008, -012, -014).
//!
//! Not here: AUTHN-004 and -005 (there is no password reset by mail), AUTHZ-011, -014, -027, -047 and -048 (no secrets, web
//! hooks, invites), and what needs our signing key (JWT-023, -028, -033, -034, -040, -051, -052: tests of `identity`).
#![allow(clippy::unwrap_used)]

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use workroom_tests::hostile::{Target, refused};
use workroom_tests::tools::{fail, git};
use workroom_tests::{Answer, PERSON, join};

fn part(value: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(value)
}

/// What two answers may not differ in.
fn told(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, body)
}

#[test]
fn tokens_that_are_not_ours_prove_nothing() {
    let target = Target::start();
    let sink = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    sink.set_nonblocking(true).unwrap();
    let session = target
        .platform()
        .anonymous()
        .post("/sessions", &json!({"email": PERSON.0, "password": PERSON.1}))
        .expect(201)
        .json();
    let token = session["access_token"].as_str().unwrap();
    let refresh = session["refresh_token"].as_str().unwrap();
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("no JWS") };
    let decoded = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let with = |value: &Value, changes: Value| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        part(value.to_string().as_bytes())
    };
    let (header, payload) = (decoded(head), decoded(claims));
    let jku = format!("http://{}/jwks", sink.local_addr().unwrap());
    let none = |alg: &str| format!("{}.{claims}.", part(json!({"alg": alg, "typ": "at+jwt"}).to_string().as_bytes()));
    let headed = |changes: Value| format!("{}.{claims}.{signature}", with(&header, changes));
    let claimed = |changes: Value| format!("{head}.{}.{signature}", with(&payload, changes));
    for (case, token) in [
        ("JWT-001", none("none")),
        ("JWT-002", none("None")),
        ("JWT-005", none("")),
        ("JWT-008", headed(json!({"alg": "HS256"}))),
        ("JWT-012", claimed(json!({"sub": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}))),
        ("JWT-017", headed(json!({"alg": "HS256", "kid": "x' UNION SELECT 'k';--"}))),
        ("JWT-020", headed(json!({"jku": jku, "x5u": jku}))),
        ("JWT-035", refresh.to_owned()),
        ("JWT-041", claimed(json!({"role": "admin", "admin": true}))),
        ("JWT-042", json!({"protected": head, "payload": claims, "signature": signature}).to_string()),
        ("JWT-043 four", format!("{token}.x")),
        ("JWT-043 five", format!("{token}.x.y")),
        ("JWT-046", format!("{}.{claims}.{signature}", part(&[b'['; 5_000]))),
        ("no signature", format!("{head}.{claims}.")),
        ("padding", format!("{token}=")),
        ("nothing", String::new()),
        ("a personal token that never was", format!("wrp_{}", "a".repeat(40))),
    ] {
        let answer = target.send("GET", "/me", &[("Authorization", &format!("Bearer {token}"))], None);
        refused(case, &answer, &[401]);
        assert_eq!(answer.json()["code"], "unauthenticated", "{case}");
    }
    assert!(sink.accept().is_err(), "JWT-020: somebody asked for the keys");

    let client = target.platform().anonymous().with_token(token);
    client.get("/me").expect(200);
    client.delete("/sessions/current").expect(204);
    refused("JWT-047", &client.get("/me"), &[401]);
    let me = target.team.person.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let account = format!("/accounts/{me}");
    let etag = target.team.admin.get(&account).expect(200).header("etag").unwrap().to_owned();
    target.team.admin.json("PATCH", &account, &[("If-Match", &etag)], &json!({"disabled": true})).expect(200);
    refused("JWT-048", &target.team.person.get("/me"), &[401]);
    target.unharmed(&[token, refresh]);
}

#[test]
fn a_session_cookie_serves_its_own_origin_alone() {
    let target = Target::start();
    let signed = target.platform().anonymous().post("/sessions", &json!({"email": PERSON.0, "password": PERSON.1}));
    let cookie = signed.header("set-cookie").unwrap().to_owned();
    for flag in ["__Host-workroom=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(flag), "{flag}");
    }
    let pair = cookie.split(';').next().unwrap();
    let own = target.send("GET", "/me", &[("Cookie", pair)], None).expect(200);
    assert_eq!(own.header("cache-control"), Some("no-store"), "WEB-014");
    assert!(own.header("vary").unwrap().contains("Cookie"), "WEB-014");
    let evil = target.send("GET", "/me", &[("Cookie", pair), ("Origin", "https://evil.example")], None);
    assert!(evil.header("access-control-allow-origin").is_none(), "WEB-008");
    assert!(evil.header("access-control-allow-credentials").is_none(), "WEB-008");
    for (case, cookies) in [
        ("AUTHN-017 before", format!("__Host-workroom=evil; {pair}")),
        ("AUTHN-017 after", format!("{pair}; __Host-workroom=evil")),
        ("without its prefix", pair.replace("__Host-", "")),
    ] {
        refused(case, &target.send("GET", "/me", &[("Cookie", &cookies)], None), &[400, 401]);
    }
    let site = format!("http://dev--shop.localhost:{}", target.platform().port());
    for (case, name, value) in [
        ("no origin", "X-Nothing", "1"),
        ("WEB-012", "Sec-Fetch-Site", "cross-site"),
        ("WEB-012 a user's site", "Sec-Fetch-Site", "same-site"),
        ("another origin", "Origin", "https://evil.example"),
        ("no one's origin", "Origin", "null"),
        ("a user's site", "Origin", site.as_str()),
    ] {
        let headers = [("Cookie", pair), (name, value), ("Content-Type", "application/json")];
        let answer = target.send("POST", "/projects", &headers, Some(br#"{"slug":"stolen","name":"x"}"#));
        refused(case, &answer, &[403]);
    }
    assert!(target.team.person.get("/projects").expect(200).json()["items"].as_array().unwrap().is_empty());
    target.unharmed(&[pair]);
}

#[test]
fn guesses_are_slowed_whatever_address_they_claim() {
    let target = Target::start();
    let statuses: Vec<u16> = (0..40)
        .map(|n| {
            let from = format!("10.0.0.{n}");
            let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from.as_str())];
            let body = json!({"email": PERSON.0, "password": format!("guess {n}")}).to_string();
            let answer = target.send("POST", "/sessions", &headers, Some(body.as_bytes()));
            refused("AUTHN-010", &answer, &[401, 429]);
            answer.status
        })
        .collect();
    assert!(statuses[30..].contains(&429), "AUTHN-010: {statuses:?}");
    for email in ["ADA@example.com", "ada@EXAMPLE.com"] {
        let body = json!({"email": email, "name": "Twin", "password": "a long password of mine"});
        refused("AUTHN-014", &target.team.admin.post("/accounts", &body), &[409, 422]);
    }
    let grab = json!({"name": "Ada", "admin": true, "role": "admin", "id": "x"});
    refused("AUTHN-018", &target.team.person.json("PATCH", "/me", &[], &grab), &[400, 422]);
    assert_eq!(target.team.person.get("/me").expect(200).json()["admin"], false);
    refused("not an admin", &target.team.person.get("/accounts"), &[403, 404]);
    target.unharmed(&[]);
}

#[test]
fn what_belongs_to_others_is_not_there() {
    let target = Target::start();
    let team = &target.team;
    let theirs = team.project("theirs", "empty");
    let job = theirs.build("main")["id"].as_str().unwrap().to_owned();
    let head = theirs.client.get(&theirs.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let head = head.as_str().unwrap();
    let eve = join(&team.platform, &team.admin, "eve@example.com", "Eve", "another long password");
    eve.post("/projects", &json!({"slug": "own", "name": "own", "starter": "empty"})).expect(201);
    for (case, rest, absent) in [
        ("AUTHZ-016", format!("/jobs/{job}"), "/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        ("AUTHZ-008", format!("/jobs/{job}/log"), "/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV/log".to_owned()),
        (
            "AUTHZ-017",
            format!("/file?ref={head}&path=README.md"),
            format!("/file?ref={}&path=README.md", "1".repeat(40)),
        ),
        ("a commit", format!("/commits/{head}"), format!("/commits/{}", "1".repeat(40))),
        ("AUTHZ-009", format!("/artifacts/{}", "a".repeat(64)), format!("/artifacts/{}", "b".repeat(64))),
    ] {
        let foreign = eve.get(&format!("/projects/own{rest}"));
        refused(case, &foreign, &[404]);
        let none = eve.get(&format!("/projects/own{absent}"));
        assert_eq!(told(&foreign).0, told(&none).0, "{case}");
        let (hidden, nobody) = (eve.get(&theirs.path(&rest)), eve.get(&format!("/projects/absent{rest}")));
        assert_eq!(told(&hidden), told(&nobody), "{case}");
        assert_eq!(hidden.status, 404, "{case}");
    }
    refused("DEPLOY-013", &eve.post("/projects/own/builds", &json!({"ref": head})), &[404, 422]);
    for cursor in [part(br#"{"pk":"TEAM#other"}"#), STANDARD.encode("project#1"), "%00".to_owned(), "a".repeat(3_000)] {
        for list in ["/projects", "/projects/own/jobs", "/projects/own/files", "/tokens", "/projects/own/members"] {
            refused("AUTHZ-045", &eve.get(&format!("{list}?cursor={cursor}")), &[400, 403, 422]);
        }
    }
    let real = team.admin.get("/accounts?limit=1").expect(200).json()["next"].as_str().unwrap().to_owned();
    let moved = eve.get(&format!("/projects?cursor={real}"));
    assert!(moved.status < 500 && !moved.text().contains("theirs"), "AUTHZ-045 of another list: {}", moved.text());
    let listed = eve.get("/projects?q=%27%20OR%20begins_with(pk%2C%27TEAM%27)");
    assert!(!listed.text().contains("theirs"), "AUTHZ-046: {}", listed.text());
    target.unharmed(&["another long password"]);
}

#[test]
fn roles_and_tokens_end_where_they_should() {
    let target = Target::start();
    let team = &target.team;
    let (shop, other) = (team.project("shop", "empty"), team.project("other", "empty"));
    let owner = team.person.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let bob = join(&team.platform, &team.admin, "bob@example.com", "Bob", "yet another password");
    let id = bob.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let member = |role: &str| team.person.put(&shop.path(&format!("/members/{id}")), &json!({"role": role}));
    assert!(member("maintainer").status < 300);
    refused("AUTHZ-029", &bob.delete(&shop.path(&format!("/members/{owner}"))), &[403, 409, 422]);
    let demote = json!({"role": "viewer"});
    refused("AUTHZ-030", &team.person.put(&shop.path(&format!("/members/{owner}")), &demote), &[409, 422]);
    refused("a role of no one", &member("god"), &[400, 422]);

    assert!(member("viewer").status < 300);
    let branch = json!({"name": "mine"});
    refused("a viewer's branch", &bob.post(&shop.path("/branches"), &branch), &[403]);
    refused("a viewer's build", &bob.post(&shop.path("/builds"), &json!({})), &[403]);
    let token =
        bob.post("/tokens", &json!({"name": "t", "scopes": ["read", "write"]})).expect(201).json()["token"].clone();
    let url = format!("http://bob:{}@{}/git/shop.git", token.as_str().unwrap(), team.platform.authority());
    let folder = tempfile::tempdir().unwrap();
    workroom_tests::tools::succeed(&mut git(folder.path(), &["clone", "-q", &url, "work"]));
    let said = fail(&mut git(&folder.path().join("work"), &["push", "origin", "HEAD:refs/heads/mine"]));
    assert!(said.contains("403"), "AUTHZ-021: {said}");

    let project = shop.client.get(&shop.path("")).expect(200).json()["id"].clone();
    let narrow = json!({"name": "n", "scopes": ["read"], "project": project});
    let made = team.person.post("/tokens", &narrow).expect(201).json()["token"].as_str().unwrap().to_owned();
    let narrow = team.platform.anonymous().with_token(&made);
    narrow.get(&shop.path("/branches")).expect(200);
    refused("AUTHZ-038", &narrow.get(&other.path("/branches")), &[404]);
    refused("a reader's branch", &narrow.post(&shop.path("/branches"), &branch), &[403]);
    refused("a token's token", &narrow.post("/tokens", &json!({"name": "x", "scopes": ["write"]})), &[403]);

    let etag = shop.client.get(&shop.path("")).header("etag").unwrap_or("*").to_owned();
    assert!(shop.client.send("DELETE", &shop.path(""), &[("If-Match", &etag)], None).status < 300);
    let again = bob.post("/projects", &json!({"slug": "shop", "name": "shop", "starter": "empty"}));
    assert!([201, 409].contains(&again.status), "a name is new, or is never given out again: {}", again.text());
    refused("AUTHZ-050", &narrow.get("/projects/shop/branches"), &[401, 403, 404]);
    refused("AUTHZ-050 by session", &team.person.get("/projects/shop/branches"), &[404]);
    target.unharmed(&[&made]);
}
