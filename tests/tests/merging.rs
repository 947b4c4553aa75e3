//! Merges, cherry-picks, reverts and amended commits over REST.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use workroom_tests::{Answer, Project, Team};

struct Work {
    project: Project,
}

impl Work {
    fn head(&self, branch: &str) -> String {
        let log = self.project.client.get(&self.project.path(&format!("/commits?ref={branch}&limit=1"))).expect(200);
        log.json()["items"][0]["id"].as_str().unwrap().to_owned()
    }

    fn branch(&self, name: &str, from: &str) {
        self.post("/branches", json!({"name": name, "from": from})).expect(201);
    }

    fn post(&self, route: &str, body: Value) -> Answer {
        self.project.client.post(&self.project.path(route), &body)
    }

    fn get(&self, route: &str) -> Answer {
        self.project.client.get(&self.project.path(route))
    }

    fn commit(&self, branch: &str, changes: Value) -> String {
        let body =
            json!({"branch": branch, "expected_head": self.head(branch), "message": "change", "changes": changes});
        self.post("/commits", body).expect(201).json()["id"].as_str().unwrap().to_owned()
    }

    fn write(&self, branch: &str, path: &str, content: &str) -> String {
        self.commit(branch, json!([{"action": "put", "path": path, "content": content}]))
    }

    fn text(&self, branch: &str, path: &str) -> String {
        self.get(&format!("/file?ref={branch}&path={path}")).expect(200).text()
    }
}

fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
}

#[test]
fn a_conflict_is_seen_resolved_and_merged() {
    let team = Team::start();
    let work = Work { project: team.project("merge", "empty") };
    work.write("main", "a.txt", "1\n2\n3\n");
    work.branch("topic", "main");
    let into = work.write("main", "a.txt", "1\nzwei\n3\n");
    let from = work.write("topic", "a.txt", "1\ntwo\n3\n");
    work.write("topic", "b.txt", "b\n");

    let preview = work.get("/merges?into=main&from=topic").expect(200).json();
    assert_eq!((&preview["kind"], &preview["into_commit"]), (&json!("conflict"), &json!(into)));
    let conflict = &preview["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["reason"]), (&json!("a.txt"), &json!("content")));
    let hunk = json!({"base": ["2"], "ours": ["zwei"], "theirs": ["two"], "ours_line": 2, "theirs_line": 2});
    assert_eq!(conflict["hunks"], json!([hunk]));
    assert_eq!(conflict["merged"], "1\n<<<<<<< main\nzwei\n=======\ntwo\n>>>>>>> topic\n3\n");
    assert_eq!(conflict["ours"]["mode"], "100644");

    let merge = |more: Value| {
        let mut body = json!({"into": "main", "from": "topic"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        work.post("/merges", body)
    };
    let left = merge(json!({}));
    problem(&left, 409, "merge-conflict");
    assert_eq!(left.json()["conflicts"], preview["conflicts"]);
    assert_eq!(work.head("main"), into, "nothing was done");
    problem(&merge(json!({"expected_into": from})), 409, "conflict");
    let resolutions = json!([{"path": "a.txt", "content": "1\n2!\n3\n", "executable": true}]);
    let done = merge(json!({"expected_into": into, "resolutions": resolutions})).expect(201).json();
    assert_eq!(done["kind"], "merge");
    assert_eq!(done["commit"]["message"], "Merge branch 'topic' into main\n");
    assert_eq!(done["commit"]["parents"][0], json!(into));
    assert_eq!((work.text("main", "a.txt"), work.text("main", "b.txt")), ("1\n2!\n3\n".into(), "b\n".into()));
    assert_eq!(merge(json!({})).expect(200).json()["kind"], "up-to-date");
    let events = work.get("/events?limit=50").expect(200).json();
    let told = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["type"] == "git.pushed" && event["detail"]["refs"][0]["new"] == done["commit"]["id"]);
    assert_eq!(told.count(), 1, "followers hear of a merge as of a push");

    work.branch("release", "main");
    let next = work.write("main", "c.txt", "c\n");
    let forward = work.post("/merges", json!({"into": "release", "from": "main"})).expect(201).json();
    assert_eq!((&forward["kind"], &forward["commit"]["id"]), (&json!("fast-forward"), &json!(next)));
    let key = [("Idempotency-Key", "merge-once")];
    work.write("main", "d.txt", "d\n");
    let body = json!({"into": "release", "from": "main", "no_ff": true, "message": "Release"});
    let once = work.project.client.json("POST", &work.project.path("/merges"), &key, &body).expect(201);
    let twice = work.project.client.json("POST", &work.project.path("/merges"), &key, &body).expect(201);
    assert_eq!((once.body.clone(), once.json()["commit"]["message"].clone()), (twice.body, json!("Release\n")));
}

#[test]
fn changes_are_picked_and_taken_back() {
    let team = Team::start();
    let work = Work { project: team.project("pick", "empty") };
    work.write("main", "a.txt", "a\n");
    work.branch("fix", "main");
    let fix = work.write("fix", "a.txt", "fixed\n");
    work.write("main", "other.txt", "o\n");
    let picked = work.post("/cherry-picks", json!({"commit": fix, "onto": "main"})).expect(201).json();
    assert_eq!(
        (picked["commit"]["message"].as_str(), work.text("main", "a.txt")),
        (Some("change\n"), "fixed\n".into())
    );
    problem(&work.post("/cherry-picks", json!({"commit": fix, "onto": "main"})), 409, "conflict");
    let back = json!({"commit": picked["commit"]["id"], "onto": "main", "message": "No"});
    work.post("/reverts", back.clone()).expect(201);
    assert_eq!((work.text("main", "a.txt"), work.text("main", "other.txt")), ("a\n".into(), "o\n".into()));
    work.write("main", "a.txt", "again\n");
    let clash = work.post("/reverts", json!({"commit": fix, "onto": "main"}));
    problem(&clash, 409, "merge-conflict");
    assert_eq!(clash.json()["conflicts"][0]["hunks"][0]["ours"], json!(["again"]));
    let solved = json!({"commit": fix, "onto": "main", "resolutions": [{"path": "a.txt", "side": "theirs"}]});
    work.post("/reverts", solved).expect(201);
    assert_eq!(work.text("main", "a.txt"), "a\n", "as it was before the fix");
}

#[test]
fn one_commit_does_many_things_or_none() {
    let team = Team::start();
    let work = Work { project: team.project("many", "empty") };
    work.commit(
        "main",
        json!([
            {"action": "create", "path": "a.txt", "content": "a"},
            {"action": "create", "path": "b/c.txt", "content": "c"},
            {"action": "create", "path": "run.sh", "content": "#!", "executable": true},
        ]),
    );
    let before = work.head("main");
    let refused = |changes: Value| {
        let body = json!({"branch": "main", "expected_head": before, "message": "m", "changes": changes});
        work.post("/commits", body)
    };
    let good = json!({"action": "put", "path": "new.txt", "content": "n"});
    problem(&refused(json!([good, {"action": "create", "path": "a.txt", "content": "x"}])), 409, "conflict");
    problem(&refused(json!([good, {"action": "update", "path": "none.txt", "content": "x"}])), 404, "not-found");
    problem(&refused(json!([good, {"action": "mode", "path": "b", "executable": true}])), 409, "conflict");
    problem(&refused(json!([good, {"action": "mode", "path": "none", "executable": true}])), 404, "not-found");
    problem(&refused(json!([good, {"action": "move", "from": "a.txt", "to": "run.sh"}])), 409, "conflict");
    problem(&refused(json!([good, {"action": "create", "path": "../x", "content": "x"}])), 422, "invalid-path");
    problem(&refused(json!([good, {"action": "put", "path": "a\tb", "content": "x"}])), 422, "invalid-path");
    problem(&refused(json!([good, {"action": "explode", "path": "a.txt"}])), 422, "validation");
    assert_eq!(work.head("main"), before, "all or nothing");
    work.commit(
        "main",
        json!([
            {"action": "update", "path": "a.txt", "content": "A"},
            {"action": "move", "from": "b", "to": "d/e"},
            {"action": "mode", "path": "run.sh", "executable": false},
            {"action": "mode", "path": "a.txt", "executable": true},
            {"action": "delete", "path": "README.md"},
        ]),
    );
    let tree = work.get("/tree?ref=main").expect(200).json();
    let modes: Vec<(&str, &str)> = tree["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["name"].as_str().unwrap(), entry["mode"].as_str().unwrap()))
        .filter(|(name, _)| ["a.txt", "d", "run.sh", "b", "README.md"].contains(name))
        .collect();
    assert_eq!(modes, [("a.txt", "100755"), ("d", "040000"), ("run.sh", "100644")]);
    assert_eq!(work.text("main", "d/e/c.txt"), "c");
}

#[test]
fn a_commit_can_be_amended_until_others_have_it() {
    let team = Team::start();
    let work = Work { project: team.project("amend", "empty") };
    work.branch("mine", "main");
    let base = work.head("mine");
    let first = work.write("mine", "a.txt", "one\n");
    let amend = |of: &str, content: &str| {
        let changes = json!([{"action": "put", "path": "a.txt", "content": content}]);
        work.post("/commits", json!({"branch": "mine", "message": "better", "amend": of, "changes": changes}))
    };
    let second = amend(&first, "two\n").expect(201).json();
    assert_eq!((&second["parents"], second["message"].as_str()), (&json!([base]), Some("better\n")));
    assert_eq!(work.text("mine", "a.txt"), "two\n");
    let second = second["id"].as_str().unwrap();
    problem(&amend(&first, "three\n"), 409, "conflict");
    problem(&amend("zz", "three\n"), 422, "invalid-ref");
    let reworded = work.post("/commits", json!({"branch": "mine", "message": "only words", "amend": second}));
    let third = reworded.expect(201).json()["id"].as_str().unwrap().to_owned();
    work.branch("others", "mine");
    let refused = amend(&third, "four\n");
    problem(&refused, 409, "conflict");
    assert!(refused.text().contains("refs/heads/others"), "{}", refused.text());
    let bea =
        workroom_tests::join(&team.platform, &team.admin, "bea@example.com", "Bea", "correct horse battery staple");
    let id = bea.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let member = work.project.path(&format!("/members/{id}"));
    let fresh = [("If-None-Match", "*")];
    work.project.client.json("PUT", &member, &fresh, &json!({"role": "maintainer"})).expect(201);
    work.branch("alone", "main");
    let hers = work.write("alone", "b.txt", "b\n");
    let body = json!({"branch": "alone", "message": "hers?", "amend": hers});
    let refused = bea.post(&work.project.path("/commits"), &body);
    problem(&refused, 409, "conflict");
    assert!(refused.text().contains("not yours"), "{}", refused.text());
}

#[test]
fn bad_merges_are_refused() {
    let team = Team::start();
    let work = Work { project: team.project("bad", "empty") };
    work.branch("topic", "main");
    work.write("topic", "a.txt", "a\n");
    let head = work.head("main");
    for (query, status, code) in [
        ("into=main", 400, "validation"),
        ("into=main&from=topic&x=1", 400, "validation"),
        ("into=none&from=topic", 404, "not-found"),
        ("into=main&from=none", 404, "not-found"),
        ("into=a..b&from=topic", 422, "invalid-ref"),
        ("into=main&from=a..b", 422, "invalid-ref"),
        ("into=main&from=0000000000000000000000000000000000000000", 404, "not-found"),
    ] {
        problem(&work.get(&format!("/merges?{query}")), status, code);
    }
    for (body, status, code) in [
        (json!({"into": "main"}), 422, "validation"),
        (json!({"into": "main", "from": "topic", "force": true}), 422, "validation"),
        (json!({"into": "refs/heads/../x", "from": "topic"}), 422, "invalid-ref"),
        (json!({"into": "main", "from": "topic", "expected_into": "x"}), 422, "invalid-ref"),
        (json!({"into": "main", "from": "topic", "message": " "}), 422, "validation"),
        (json!({"into": "main", "from": "topic", "message": "a\u{0}b"}), 422, "validation"),
        (json!({"into": "main", "from": "topic", "message": "x".repeat(70_000)}), 413, "too-large"),
        (json!({"into": "main", "from": "topic", "resolutions": [{"path": "a.txt"}]}), 422, "validation"),
        (
            json!({"into": "main", "from": "topic", "resolutions": [{"path": "a", "content": "", "delete": true}]}),
            422,
            "validation",
        ),
        (
            json!({"into": "main", "from": "topic", "no_ff": true, "resolutions": [{"path": "../a", "delete": true}]}),
            422,
            "invalid-path",
        ),
        (
            json!({"into": "main", "from": "topic", "no_ff": true, "resolutions": [{"path": "a.txt", "delete": true}]}),
            422,
            "validation",
        ),
    ] {
        problem(&work.post("/merges", body), status, code);
    }
    for route in ["/cherry-picks", "/reverts"] {
        problem(&work.post(route, json!({"commit": "none", "onto": "main"})), 404, "not-found");
        problem(&work.post(route, json!({"commit": "topic", "onto": "none"})), 404, "not-found");
        problem(&work.post(route, json!({"commit": "topic", "onto": "main", "mainline": 2})), 422, "validation");
    }
    assert_eq!(work.head("main"), head);
    let stranger =
        workroom_tests::join(&team.platform, &team.admin, "eve@example.com", "Eve", "correct horse battery staple");
    for answer in [
        stranger.get(&work.project.path("/merges?into=main&from=topic")),
        stranger.post(&work.project.path("/merges"), &json!({"into": "main", "from": "topic"})),
        stranger.post(&work.project.path("/cherry-picks"), &json!({"commit": "topic", "onto": "main"})),
        stranger.get(&work.project.path("/search?q=a")),
        stranger.get(&work.project.path("/paths")),
    ] {
        problem(&answer, 404, "not-found");
    }
}
