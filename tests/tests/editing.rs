//! Editing over REST: tree, file, drafts, commit, log, diff.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use workroom_tests::Team;

#[test]
fn drafts_become_a_commit() {
    let team = Team::start();
    let project = team.project("edit", "python");
    let client = &project.client;

    let tree = client.get(&project.path("/tree?ref=main")).expect(200).json();
    let names: Vec<&str> = tree["items"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"template.yaml") && names.contains(&"functions"), "{names:?}");
    let file = client.get(&project.path("/file?ref=main&path=README.md")).expect(200);
    assert!(file.text().starts_with("# Starter"));
    assert!(file.header("etag").is_some());

    let draft = project.path("/draft?branch=main&path=README.md");
    let text = [("Content-Type", "application/octet-stream")];
    client.send("PUT", &draft, &text, Some(b"# Mine\n")).expect(428);
    let fresh = [text[0], ("If-None-Match", "*")];
    let saved = client.send("PUT", &draft, &fresh, Some(b"# Mine\n"));
    assert!([200, 201].contains(&saved.status), "{}", saved.text());
    let etag = saved.header("etag").unwrap().to_owned();
    let again = client.send("PUT", &draft, &[text[0], ("If-Match", &etag)], Some(b"# Mine, again\n"));
    assert!([200, 204].contains(&again.status), "{}", again.text());
    client.send("PUT", &draft, &[text[0], ("If-Match", &etag)], Some(b"# Stale\n")).expect(412);
    assert_eq!(client.get(&draft).expect(200).text(), "# Mine, again\n");
    let kept = project.path("/draft?branch=main&path=kept.txt");
    client.send("PUT", &kept, &fresh, Some(b"not yet"));

    let head = client.get(&project.path("/commits?ref=main")).expect(200).json()["items"][0]["id"].clone();
    let commit =
        json!({"branch": "main", "expected_head": head, "message": "Say whose it is", "drafts": ["README.md"]});
    let made = client.post(&project.path("/commits"), &commit).expect(201).json();
    assert_eq!(client.get(&project.path("/file?ref=main&path=README.md")).text(), "# Mine, again\n");
    let drafts = client.get(&project.path("/drafts?branch=main")).expect(200).json();
    assert_eq!(drafts["items"].as_array().unwrap().len(), 1, "the chosen draft is gone, the other stays");

    let id = made["id"].as_str().unwrap();
    let diff =
        client.get(&project.path(&format!("/diff?base={}&head={id}", head.as_str().unwrap()))).expect(200).text();
    assert!(diff.contains("+# Mine, again"), "{diff}");
    let stale = json!({"branch": "main", "expected_head": head, "message": "late", "drafts": ["kept.txt"]});
    let refused = client.post(&project.path("/commits"), &stale);
    assert!([409, 412].contains(&refused.status), "{}", refused.text());
}

#[test]
fn a_repeated_commit_is_one_commit() {
    let team = Team::start();
    let project = team.project("once", "empty");
    let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
    let body = json!({
        "branch": "main", "expected_head": head, "message": "once",
        "changes": [{"action": "put", "path": "a.txt", "content": "a"}],
    });
    let key = [("Idempotency-Key", "11111111-2222-3333-4444-555555555555")];
    let first = project.client.json("POST", &project.path("/commits"), &key, &body).expect(201);
    let second = project.client.json("POST", &project.path("/commits"), &key, &body).expect(201);
    assert_eq!(first.body, second.body, "byte for byte");
    let mut other = body.clone();
    other["message"] = json!("twice");
    let refused = project.client.json("POST", &project.path("/commits"), &key, &other).expect(422);
    assert_eq!(refused.json()["code"], "idempotency-mismatch");
    let log = project.client.get(&project.path("/commits?ref=main")).json();
    assert_eq!(log["items"].as_array().unwrap().len(), 2);
}
