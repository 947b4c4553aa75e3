//! Reading a repository over REST: search, paths, history, blame, comparisons, tags, files in parts, archives.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use workroom_tests::tools::{git, succeed};
use workroom_tests::{Answer, Project, Team, join};

const PASSWORD: &str = "correct horse battery staple";

struct Work {
    project: Project,
}

impl Work {
    fn get(&self, route: &str) -> Answer {
        self.project.client.get(&self.project.path(route))
    }

    fn json(&self, route: &str) -> Value {
        self.get(route).expect(200).json()
    }

    fn head(&self) -> String {
        self.json("/commits?ref=main&limit=1")["items"][0]["id"].as_str().unwrap().to_owned()
    }

    fn write(&self, path: &str, content: &str) -> String {
        self.project.commit(&[(path, content)]);
        self.head()
    }

    /// All pages of a list.
    fn all(&self, route: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.json(&format!("{route}{cursor}"));
            items.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

fn problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
}

#[test]
fn a_project_is_searched_with_ones_drafts_over_it() {
    let team = Team::start();
    let work = Work { project: team.project("search", "empty") };
    work.write("src/a.rs", "let needle = 1;\nnothing\n");
    work.write("src/b.rs", "\u{1f600} Needle\n");
    work.write("docs/c.md", "needle needle\n");
    let client = &work.project.client;
    let fresh = [("If-None-Match", "*"), ("Content-Type", "application/octet-stream")];
    let draft = |path: &str| work.project.path(&format!("/draft?branch=main&path={path}"));
    assert_eq!(client.send("PUT", &draft("src/a.rs"), &fresh, Some(b"gone\n")).status, 201);
    assert_eq!(client.send("PUT", &draft("new.txt"), &fresh, Some(b"a needle in a draft\n")).status, 201);
    assert_eq!(client.send("PUT", &format!("{}&deleted=true", draft("docs/c.md")), &fresh, Some(b"")).status, 201);

    let paths =
        |items: &[Value]| items.iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let found = work.all("/search?q=needle&limit=1");
    assert_eq!(paths(&found), ["docs/c.md", "src/a.rs", "src/b.rs"]);
    assert_eq!(found[0]["matches"][0]["ranges"], json!([{"start": 0, "end": 6}, {"start": 7, "end": 13}]));
    assert_eq!(
        found[2]["matches"][0],
        json!({"line": 1, "text": "\u{1f600} Needle", "offset": 0, "ranges": [{"start": 3, "end": 9}]})
    );
    let drafts = work.all("/search?q=needle&limit=1&drafts=true");
    assert_eq!(paths(&drafts), ["new.txt", "src/b.rs"], "drafts stand in for what they change and delete");
    assert_eq!(paths(&work.all("/search?q=needle&case=true&limit=9")), ["docs/c.md", "src/a.rs"]);
    assert_eq!(paths(&work.all("/search?q=needle&include=*.rs&limit=9")), ["src/a.rs", "src/b.rs"]);
    assert_eq!(paths(&work.all("/search?q=needle&exclude=src&limit=9")), ["docs/c.md"]);
    assert_eq!(paths(&work.all("/search?q=%5Elet&regex=true&limit=9")), ["src/a.rs"]);

    let first = work.json("/search?q=needle&limit=1");
    work.write("aaa.txt", "needle\n");
    let next = work.json(&format!("/search?q=needle&limit=9&cursor={}", first["next"].as_str().unwrap()));
    assert_eq!(
        (&next["commit"], paths(next["items"].as_array().unwrap())),
        (&first["commit"], vec!["src/a.rs".to_owned(), "src/b.rs".to_owned()])
    );

    for (query, status, code, field) in [
        ("", 400, "validation", None),
        ("q=", 422, "validation", Some("q")),
        ("q=%28&regex=true", 422, "validation", Some("q")),
        ("q=%28%3F%3Da%29&regex=true", 422, "validation", Some("q")),
        ("q=a%7B100000%7D&regex=true", 422, "validation", Some("q")),
        ("q=a&include=%5B", 422, "validation", Some("include")),
        ("q=a&exclude=%7Ba", 422, "validation", Some("exclude")),
        ("q=a&limit=0", 400, "validation", Some("limit")),
        ("q=a&limit=201", 400, "validation", Some("limit")),
        ("q=a&cursor=x", 400, "validation", Some("cursor")),
        ("q=a&ref=none", 404, "not-found", None),
        ("q=a&ref=a..b", 422, "invalid-ref", Some("ref")),
        ("q=a&regex=maybe", 400, "validation", None),
        ("q=a&surprise=1", 400, "validation", None),
        (&format!("q=a&drafts=true&ref={}", work.head()), 422, "invalid-ref", Some("ref")),
        (&format!("q={}", "a".repeat(2000)), 422, "validation", Some("q")),
    ] {
        let answer = work.get(&format!("/search?{query}"));
        problem(&answer, status, code);
        if let Some(field) = field {
            assert_eq!(answer.json()["field"], field, "{query:.40}");
        }
    }
    let listed = work.json("/paths?path=src/&limit=1");
    assert_eq!(listed["items"], json!(["src/a.rs"]));
    let all: BTreeSet<_> = work.all("/paths?limit=2").iter().map(|path| path.as_str().unwrap().to_owned()).collect();
    assert!(all.contains("aaa.txt") && all.contains("docs/c.md") && !all.contains("new.txt"));
    problem(&work.get("/paths?limit=10001"), 400, "validation");
    problem(&work.get("/paths?path=../x"), 422, "invalid-path");
}

#[test]
fn names_that_are_no_text_are_read_like_any_other() {
    use std::os::unix::ffi::OsStrExt;
    let team = Team::start();
    let work = Work { project: team.project("names", "empty") };
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["clone", "-q", &work.project.git_url(&team.platform), "w"]));
    let at = folder.path().join("w");
    let raw: &[u8] = b"raw\xff\xfe.txt";
    std::fs::write(at.join(std::ffi::OsStr::from_bytes(raw)), "needle\nline\n").unwrap();
    std::fs::write(at.join("tab\there"), "needle\n").unwrap();
    succeed(&mut git(&at, &["add", "-A"]));
    succeed(&mut git(&at, &["commit", "-q", "-m", "odd"]));
    succeed(&mut git(&at, &["push", "-q", "origin", "HEAD:main"]));

    let names: Vec<String> =
        work.all("/tree?ref=main&limit=1").iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect();
    let name = names.iter().find(|name| name.starts_with("raw")).unwrap();
    assert_eq!(name, "raw\u{10feff}\u{10fefe}.txt");
    assert!(names.contains(&"tab\there".to_owned()), "{names:?}");
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(work.get(&format!("/file?path={encoded}")).expect(200).text(), "needle\nline\n");
    assert_eq!(work.json(&format!("/blame?path={encoded}"))["ranges"][0]["count"], 2);
    assert_eq!(work.all(&format!("/commits?path={encoded}&limit=9")).len(), 1);
    let found = work.all("/search?q=needle&limit=9");
    assert!(found.iter().any(|item| item["path"] == json!(name)), "{found:?}");
    let body = json!({"branch": "main", "expected_head": work.head(), "message": "tidy", "changes": [
        {"action": "update", "path": name, "content": "changed\n"},
        {"action": "move", "from": "tab\there", "to": "tab.txt"},
    ]});
    work.project.client.post(&work.project.path("/commits"), &body).expect(201);
    assert_eq!(work.get(&format!("/file?path={encoded}")).expect(200).text(), "changed\n");
    succeed(&mut git(&at, &["pull", "-q", "origin", "main"]));
    assert_eq!(std::fs::read(at.join(std::ffi::OsStr::from_bytes(raw))).unwrap(), b"changed\n");
    let fresh = json!({"branch": "main", "expected_head": work.head(), "message": "no", "changes": [
        {"action": "put", "path": "new\u{10feff}", "content": "x"}]});
    problem(&work.project.client.post(&work.project.path("/commits"), &fresh), 422, "invalid-path");
    problem(&work.get("/file?path=%FF"), 400, "validation");
}

#[test]
fn history_blame_and_comparisons_are_told() {
    let team = Team::start();
    let work = Work { project: team.project("history", "empty") };
    let start = work.head();
    let first = work.write("src/a.txt", "one\ntwo\nthree\n");
    let second = work.write("src/a.txt", "one\nTWO\nthree\n");
    let other = work.write("b.txt", "b\n");
    let blame = work.json("/blame?ref=main&path=src/a.txt");
    let told: Vec<_> = blame["ranges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| (range["line"].clone(), range["count"].clone(), range["commit"].clone()))
        .collect();
    let want = [(1, &first), (2, &second), (3, &first)].map(|(line, commit)| (json!(line), json!(1), json!(commit)));
    assert_eq!(told, want);
    assert_eq!((blame["commits"].as_array().unwrap().len(), &blame["partial"]), (2, &json!(false)));
    assert_eq!(work.json("/blame?path=src/a.txt"), blame, "the second time from memory");

    let tree = work.json("/tree?ref=main&last_commit=true");
    let last = |name: &str| {
        let entries = tree["items"].as_array().unwrap();
        entries.iter().find(|entry| entry["name"] == name).unwrap()["last_commit"]["id"].clone()
    };
    assert_eq!((last("src"), last("b.txt")), (json!(second), json!(other)));
    assert!(work.json("/tree?ref=main")["items"][0]["last_commit"].is_null());

    let moved = json!({"branch": "main", "expected_head": other, "message": "mv",
        "changes": [{"action": "move", "from": "src/a.txt", "to": "src/moved.txt"}]});
    let moved = work.project.client.post(&work.project.path("/commits"), &moved).expect(201).json()["id"].clone();
    let ids = |route: &str| work.all(route).iter().map(|commit| commit["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids("/commits?path=src/moved.txt&limit=1"), std::slice::from_ref(&moved));
    assert_eq!(ids("/commits?path=src/moved.txt&follow=true&limit=1"), [moved.clone(), json!(second), json!(first)]);
    assert_eq!(ids(&format!("/commits?base={first}&limit=2")), [moved, json!(other), json!(second)]);

    let compared = work.json(&format!("/compare?base={start}&head=main&hunks=true"));
    assert_eq!(
        (&compared["ahead"], &compared["behind"], &compared["merge_base"]),
        (&json!(4), &json!(0), &json!(start))
    );
    assert_eq!(compared["commits"].as_array().unwrap().len(), 4);
    let compared = work.json(&format!("/compare?base={other}&head=main"));
    let file = &compared["files"][0];
    assert_eq!(
        (&file["status"], &file["old_path"], &file["new_path"]),
        (&json!("renamed"), &json!("src/a.txt"), &json!("src/moved.txt"))
    );
    let back = work.json(&format!("/compare?base=main&head={first}"));
    assert_eq!((&back["ahead"], &back["behind"], back["files"].as_array().unwrap().len()), (&json!(0), &json!(3), 0));
    let lines = work.json(&format!("/diff?base={first}&head={second}&hunks=true"));
    let hunk = &lines["files"][0]["hunks"][0];
    assert_eq!(hunk["lines"][1], json!({"kind": "removed", "text": "two"}));
    assert_eq!((&hunk["old_start"], &hunk["new_lines"]), (&json!(1), &json!(3)));

    for (route, status, code) in [
        ("/blame?path=none", 404, "not-found"),
        ("/blame?path=src", 404, "not-found"),
        ("/blame?path=../x", 422, "invalid-path"),
        ("/blame?path=b.txt&ref=none", 404, "not-found"),
        ("/blame", 400, "validation"),
        ("/compare?base=main", 400, "validation"),
        ("/compare?base=main&head=none", 404, "not-found"),
        ("/compare?base=main&head=a..b", 422, "invalid-ref"),
        ("/commits?base=none", 404, "not-found"),
        ("/commits?follow=perhaps", 400, "validation"),
        ("/tree?last_commit=1", 400, "validation"),
    ] {
        problem(&work.get(route), status, code);
    }
}

#[test]
fn files_come_whole_in_parts_and_by_their_id() {
    let team = Team::start();
    let work = Work { project: team.project("parts", "empty") };
    work.write("page.html", "<script>alert(1)</script>");
    let path = work.project.path("/file?path=page.html");
    let client = &work.project.client;
    let whole = client.get(&path).expect(200);
    assert_eq!(whole.header("content-type"), Some("text/plain; charset=utf-8"), "never a page");
    assert_eq!(whole.header("content-disposition"), Some("attachment"));
    assert!(whole.header("content-security-policy").unwrap().contains("sandbox"));
    assert_eq!(
        (whole.header("x-content-type-options"), whole.header("accept-ranges")),
        (Some("nosniff"), Some("bytes"))
    );
    let etag = whole.header("etag").unwrap().to_owned();
    let blob = etag.trim_matches('"');
    let by_id = work.get(&format!("/file?blob={blob}")).expect(200);
    assert_eq!((by_id.body.clone(), by_id.header("etag")), (whole.body.clone(), Some(etag.as_str())));
    assert_eq!(client.send("GET", &path, &[("If-None-Match", &etag)], None).status, 304);
    let part = |range: &str| client.send("GET", &path, &[("Range", range)], None);
    let middle = part("bytes=1-6");
    assert_eq!(
        (middle.status, middle.text().as_str(), middle.header("content-range")),
        (206, "script", Some("bytes 1-6/25"))
    );
    assert_eq!(part("bytes=-9").text(), "</script>");
    let beyond = part("bytes=25-");
    problem(&beyond, 416, "range-not-satisfiable");
    assert_eq!(beyond.json()["detail"], "The file has 25 bytes.");
    let many = format!("bytes={}0-1", "0-1,".repeat(1000));
    for odd in ["bytes=5-1", "bytes=a-b", "rows=1-2", &many, "bytes=99999999999999999999-1"] {
        let answer = part(odd);
        assert_eq!((answer.status, answer.body == whole.body), (200, true), "HTTP-022 {odd:.30}");
    }
    let stale = client.send("GET", &path, &[("Range", "bytes=0-1"), ("If-Range", "\"other\"")], None);
    assert_eq!(stale.status, 200);
    for (route, status, code) in [
        ("/file", 400, "validation"),
        ("/file?path=page.html&blob=00", 400, "validation"),
        ("/file?blob=zz", 422, "validation"),
        ("/file?blob=0000000000000000000000000000000000000000", 404, "not-found"),
        (&format!("/file?blob={}", work.head()), 404, "not-found"),
    ] {
        problem(&work.get(route), status, code);
    }
    let others = Work { project: team.project("others", "empty") };
    problem(&others.get(&format!("/file?blob={blob}")), 404, "not-found");
}

#[test]
fn archives_and_tags_are_what_git_makes() {
    let team = Team::start();
    let work = Work { project: team.project("archive", "python") };
    let folder = tempfile::tempdir().unwrap();
    let url = work.project.git_url(&team.platform);
    succeed(&mut git(folder.path(), &["clone", "-q", &url, "w"]));
    let at = folder.path().join("w");
    let noise: Vec<u8> = (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    std::fs::write(at.join("noise.bin"), &noise).unwrap();
    std::os::unix::fs::symlink("README.md", at.join("link")).unwrap();
    succeed(&mut git(&at, &["add", "-A"]));
    succeed(&mut git(&at, &["commit", "-q", "-m", "noise"]));
    succeed(&mut git(&at, &["push", "-q", "origin", "HEAD:main"]));

    let tar = work.get("/archive?format=tar.gz").expect(200);
    assert_eq!(tar.header("content-type"), Some("application/gzip"));
    assert!(tar.header("content-disposition").unwrap().starts_with("attachment; filename=\""));
    assert!(tar.body.len() > 10 << 20, "past what a buffered answer can be: {}", tar.body.len());
    std::fs::write(folder.path().join("a.tar.gz"), &tar.body).unwrap();
    succeed(std::process::Command::new("tar").current_dir(folder.path()).args(["-xzf", "a.tar.gz"]));
    let out = folder.path().join(&work.project.slug);
    assert_eq!(std::fs::read(out.join("noise.bin")).unwrap(), noise);
    assert_eq!(std::fs::read_link(out.join("link")).unwrap().to_str(), Some("README.md"));
    let difference = std::process::Command::new("diff")
        .current_dir(folder.path())
        .args(["-r", "--exclude=.git", "w"])
        .arg(&out)
        .output();
    assert!(difference.unwrap().stdout.is_empty());
    let zip = work.get("/archive?format=zip&path=functions").expect(200);
    assert!(zip.body.starts_with(b"PK") && zip.header("content-type") == Some("application/zip"));
    assert_eq!(zip.body, work.get("/archive?format=zip&path=functions").body, "the same bytes each time");
    for (query, status, code) in [
        ("", 400, "validation"),
        ("format=rar", 400, "validation"),
        ("format=zip&path=none", 404, "not-found"),
        ("format=zip&path=README.md", 404, "not-found"),
        ("format=zip&path=../..", 422, "invalid-path"),
        ("format=zip&ref=none", 404, "not-found"),
    ] {
        problem(&work.get(&format!("/archive?{query}")), status, code);
    }

    let post = |body: Value| work.project.client.post(&work.project.path("/tags"), &body);
    let head = work.head();
    assert_eq!(post(json!({"name": "v1"})).expect(201).json()["commit"], json!(head));
    let told = post(json!({"name": "v/2", "target": "main", "message": "Second"})).expect(201).json();
    assert_eq!(
        (&told["commit"], &told["message"], &told["tagger"]["name"]),
        (&json!(head), &json!("Second\n"), &json!("Ada"))
    );
    problem(&post(json!({"name": "v1"})), 409, "conflict");
    for bad in ["", "a..b", "-x", "HEAD", "a b", "refs/heads/../x", "x.lock"] {
        problem(&post(json!({"name": bad})), 422, "invalid-ref");
    }
    problem(&post(json!({"name": "x", "target": "none"})), 404, "not-found");
    problem(&post(json!({"name": "x", "force": true})), 422, "validation");
    let names: Vec<Value> = work.all("/tags?limit=1").iter().map(|tag| tag["name"].clone()).collect();
    assert_eq!(names, [json!("v/2"), json!("v1")]);
    succeed(&mut git(&at, &["fetch", "-q", "--tags", &url]));
    let listed = git(&at, &["cat-file", "-t", "v/2"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "tag");
    let gone = |tag: &str| work.project.client.delete(&work.project.path(&format!("/tags/{tag}")));
    gone("v%2F2").expect(204);
    problem(&gone("v%2F2"), 404, "not-found");

    let eve = join(&team.platform, &team.admin, "eve@example.com", "Eve", PASSWORD);
    for route in
        ["/archive?format=zip", "/blame?path=README.md", "/compare?base=main&head=main", "/tags", "/file?blob=00"]
    {
        problem(&eve.get(&work.project.path(route)), 404, "not-found");
    }
    problem(&eve.post(&work.project.path("/tags"), &json!({"name": "mine"})), 404, "not-found");
}
