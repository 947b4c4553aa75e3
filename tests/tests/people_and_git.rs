//! From the first admin to a stock git client: accounts, projects from starters, clone, push, refusal.
#![allow(clippy::unwrap_used)]

use serde_json::json;
use workroom_tests::tools::{fail, git, succeed};
use workroom_tests::{Team, deployed, join};

#[test]
fn a_person_works_with_stock_git() {
    let team = Team::start();
    let project = team.project("shop", "python");
    let url = project.git_url(&team.platform);
    let folder = tempfile::tempdir().unwrap();

    succeed(&mut git(folder.path(), &["clone", "-q", &url, "first"]));
    let first = folder.path().join("first");
    assert!(first.join("template.yaml").exists());
    std::fs::write(first.join("note.txt"), "from git\n").unwrap();
    succeed(&mut git(&first, &["add", "note.txt"]));
    succeed(&mut git(&first, &["commit", "-q", "-m", "add a note"]));
    succeed(&mut git(&first, &["push", "-q", "origin", "main"]));

    succeed(&mut git(folder.path(), &["clone", "-q", &url, "second"]));
    let second = folder.path().join("second");
    assert_eq!(std::fs::read_to_string(second.join("note.txt")).unwrap(), "from git\n");
    succeed(&mut git(&second, &["fsck", "--strict"]));

    succeed(&mut git(&second, &["commit", "-q", "--allow-empty", "-m", "newer"]));
    succeed(&mut git(&second, &["push", "-q", "origin", "main"]));
    succeed(&mut git(&first, &["commit", "-q", "--allow-empty", "-m", "stale"]));
    let said = fail(&mut git(&first, &["push", "origin", "main"]));
    assert!(said.contains("rejected") && said.contains("fetch first"), "{said}");

    let seen = project.client.get(&project.path("/commits?ref=main")).expect(200).json();
    assert_eq!(seen["items"][0]["message"].as_str().unwrap().trim(), "newer");
}

#[test]
fn the_old_protocol_and_a_branch_work_too() {
    let team = Team::start();
    let project = team.project("old", "empty");
    let url = project.git_url(&team.platform);
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["-c", "protocol.version=0", "clone", "-q", &url, "work"]));
    let work = folder.path().join("work");
    succeed(&mut git(&work, &["checkout", "-q", "-b", "feature/one"]));
    succeed(&mut git(&work, &["commit", "-q", "--allow-empty", "-m", "one"]));
    succeed(&mut git(&work, &["-c", "protocol.version=0", "push", "-q", "origin", "feature/one"]));
    let branches = project.client.get(&project.path("/branches")).expect(200).json();
    let names: Vec<&str> = branches["items"].as_array().unwrap().iter().map(|b| b["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"feature/one"), "{names:?}");
    succeed(&mut git(&work, &["push", "-q", "origin", "--delete", "feature/one"]));
}

#[test]
fn a_client_in_javascript_works_with_a_token() {
    let team = Team::start();
    let project = team.project("web", "empty");
    let url = project.git_url(&team.platform);
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &url, "work"]));
    let work = folder.path().join("work");
    succeed(&mut git(&work, &["tag", "-a", "v1", "-m", "v1"]));
    succeed(&mut git(&work, &["push", "-q", "origin", "v1"]));
    let (scheme, rest) = url.split_once("://").unwrap();
    let (credential, place) = rest.split_once('@').unwrap();
    let (name, token) = credential.split_once(':').unwrap();
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("node/isomorphic-git.mjs");
    let mut node = std::process::Command::new("node");
    node.arg(script).arg(format!("{scheme}://{place}")).arg(folder.path().join("javascript")).args([name, token]);
    succeed(&mut node);
    succeed(&mut git(&work, &["pull", "-q", "--ff-only", "origin", "main"]));
    assert_eq!(std::fs::read_to_string(work.join("isomorphic-git.txt")).unwrap(), "made by isomorphic-git\n");
}

#[test]
fn a_push_of_thirty_megabytes_goes_through_the_wide_door() {
    if deployed::leaves_out("a gateway takes 10 MB, a function 6 MB; the wide door is a program of its own") {
        return;
    }
    let team = Team::start();
    let project = team.project("big", "empty");
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&team.platform), "work"]));
    let work = folder.path().join("work");
    succeed(
        std::process::Command::new("dd")
            .args(["if=/dev/urandom", "bs=1M", "count=30", "status=none"])
            .arg(format!("of={}", work.join("noise.bin").display())),
    );
    succeed(&mut git(&work, &["add", "."]));
    succeed(&mut git(&work, &["commit", "-q", "-m", "noise"]));
    succeed(&mut git(&work, &["push", "-q", "origin", "main"]));
    succeed(&mut git(folder.path(), &["clone", "-q", &project.git_url(&team.platform), "again"]));
    assert_eq!(
        std::fs::read(work.join("noise.bin")).unwrap(),
        std::fs::read(folder.path().join("again/noise.bin")).unwrap()
    );
}

/// After a push a worker stores a bundle of what is there; a clone that asks for it is whole, and begins with it.
#[test]
fn a_clone_that_asks_begins_with_the_bundle_of_the_last_compaction() {
    let team = Team::start();
    let project = team.project("bundled", "empty");
    let url = project.git_url(&team.platform);
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &url, "work"]));
    let work = folder.path().join("work");
    let mut noise = std::process::Command::new("dd");
    noise
        .args(["if=/dev/urandom", "bs=1M", "count=2", "status=none"])
        .arg(format!("of={}", work.join("noise").display()));
    succeed(&mut noise);
    // Enough objects for a compaction to be worth its while.
    for n in 0..1200 {
        std::fs::write(work.join(format!("file-{n}")), format!("{n}\n")).unwrap();
    }
    succeed(&mut git(&work, &["add", "."]));
    succeed(&mut git(&work, &["commit", "-q", "-m", "noise"]));
    succeed(&mut git(&work, &["push", "-q", "origin", "main"]));
    let end = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let cloned = loop {
        let attempt = tempfile::tempdir_in(folder.path()).unwrap();
        succeed(&mut git(attempt.path(), &["-c", "transfer.bundleURI=true", "clone", "-q", &url, "clone"]));
        let clone = attempt.path().join("clone");
        let listed = git(&clone, &["for-each-ref", "--format=%(refname)", "refs/bundles"]).output().unwrap();
        if String::from_utf8_lossy(&listed.stdout).contains("refs/bundles/main") {
            break attempt;
        }
        assert!(std::time::Instant::now() < end, "no bundle was offered");
        std::thread::sleep(std::time::Duration::from_millis(200));
    };
    let clone = cloned.path().join("clone");
    succeed(&mut git(&clone, &["fsck", "--strict"]));
    assert_eq!(std::fs::read(work.join("noise")).unwrap(), std::fs::read(clone.join("noise")).unwrap());
}

#[test]
fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let team = Team::start();
    let anonymous = team.platform.anonymous();
    let ask = |email: &str| {
        let answer = anonymous.post("/sessions", &json!({"email": email, "password": "not the password"}));
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        (answer.status, body)
    };
    assert_eq!(ask(&team.platform.admin_email), ask("nobody@example.com"));
}

#[test]
fn what_may_not_be_seen_does_not_exist() {
    let team = Team::start();
    let project = team.project("secret", "empty");
    let outsider = join(&team.platform, &team.admin, "eve@example.com", "Eve", "another long password");
    let strip = |answer: workroom_tests::Answer| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        (answer.status, body)
    };
    for rest in ["", "/tree?ref=main", "/members", "/jobs", "/environments", "/files", "/branches", "/events"] {
        let hidden = strip(outsider.get(&project.path(rest)));
        let absent = strip(outsider.get(&format!("/projects/absent{rest}")));
        assert_eq!(hidden.0, 404, "{rest}");
        assert_eq!(hidden, absent, "{rest}");
    }
    let url = project.git_url(&team.platform);
    let token = outsider.post("/tokens", &json!({"name": "t", "scopes": ["read"]})).expect(201).json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let theirs = format!("http://eve:{token}@{}", url.split_once('@').unwrap().1);
    let folder = tempfile::tempdir().unwrap();
    let said = fail(&mut git(folder.path(), &["clone", &theirs, "stolen"]));
    assert!(said.contains("not found"), "{said}");
}

#[test]
fn a_removed_member_is_out_at_once() {
    let team = Team::start();
    let project = team.project("club", "empty");
    let member = join(&team.platform, &team.admin, "bob@example.com", "Bob", "yet another password");
    let id = member.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let path = project.path(&format!("/members/{id}"));
    let put = project.client.put(&path, &json!({"role": "developer"}));
    assert!([200, 201].contains(&put.status), "{}", put.text());
    member.get(&project.path("")).expect(200);
    assert!([200, 204].contains(&project.client.delete(&path).status));
    member.get(&project.path("")).expect(404);
}
