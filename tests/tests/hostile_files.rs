//! Bad input to drafts, commits and uploads: FILE-*, DRAFT-*, UPLOAD-*.
//!
//! Not here: FILE-039 (tests of `git-store`), UPLOAD-007 (an hour's wait; tests of `cloud-local`), UPLOAD-017 (URLs outlive
//! their project by five minutes at most).
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use workroom_tests::Answer;
use workroom_tests::hostile::{Target, refused};

fn escaped(path: &[u8]) -> String {
    path.iter().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn paths_that_leave_the_tree_are_refused_everywhere() {
    let target = Target::start();
    let project = target.team.project("shop", "empty");
    let log = project.client.get(&project.path("/commits?ref=main")).text();
    let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
    let long = "a/".repeat(3_000);
    for (case, path) in [
        ("traversal", &b"../x"[..]),
        ("FILE-005", b"\xc0\xae./x"),
        ("FILE-006", b"/etc/passwd"),
        ("FILE-007", b"C:\\x"),
        ("FILE-009", b"\\\\h\\s"),
        ("FILE-010", b"a\0.txt"),
        ("FILE-012", b"."),
        ("FILE-013", b"a/./b"),
        ("FILE-016", b".git/config"),
        ("FILE-018", b".git /config"),
        ("FILE-021", b".git::$INDEX_ALLOCATION/config"),
        ("FILE-022", ".g\u{200c}it/config".as_bytes()),
        ("FILE-027", b"a\x1b[2Jb"),
        ("FILE-028", b"a\nb"),
        ("nothing", b""),
        ("two slashes", b"a//b"),
        ("long", long.as_bytes()),
    ] {
        let draft = project.path(&format!("/draft?branch=main&path={}", escaped(path)));
        let answer = if path.len() > 3_000 {
            None
        } else {
            Some(project.client.send("PUT", &draft, &[("If-None-Match", "*")], Some(b"x")))
        };
        if let Some(answer) = answer {
            refused(case, &answer, &[400, 422]);
        }
        let Ok(path) = std::str::from_utf8(path) else { continue };
        let body = json!({"branch": "main", "expected_head": head, "message": "x", "changes": [{"action": "put", "path": path, "content": "x"}]});
        refused(case, &project.client.post(&project.path("/commits"), &body), &[400, 422]);
        let upload = json!({"path": path, "length": 1, "content_type": "text/plain", "sha256": "a".repeat(64)});
        let answer = project.client.post(&project.path("/uploads"), &upload);
        assert!(answer.status < 500, "{case}: {}", answer.text());
        if path.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            refused(&format!("UPLOAD-001 {case}"), &answer, &[400, 422]);
        }
    }
    // FILE-003: one escape is undone, a second is part of the name.
    let twice = project.client.send(
        "PUT",
        &project.path("/draft?branch=main&path=%2e%2e%2fx"),
        &[("If-None-Match", "*")],
        Some(b"x"),
    );
    refused("FILE-003", &twice, &[400, 422]);
    assert!(project.client.get(&project.path("/drafts?branch=main")).json()["items"].as_array().unwrap().is_empty());
    assert_eq!(project.client.get(&project.path("/commits?ref=main")).text(), log);
    target.unharmed(&[]);
}

#[test]
fn links_are_text_and_bytes_are_kept() {
    let target = Target::start();
    let project = target.team.project("shop", "empty");
    let folder = tempfile::tempdir().unwrap();
    let git = |folder: &std::path::Path, arguments: &[&str]| {
        workroom_tests::tools::succeed(&mut workroom_tests::tools::git(folder, arguments));
    };
    git(folder.path(), &["clone", "-q", &project.git_url(target.platform()), "work"]);
    let work = folder.path().join("work");
    std::os::unix::fs::symlink("/etc/passwd", work.join("l")).unwrap();
    std::os::unix::fs::symlink("../../..", work.join("up")).unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "links"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let read = project.client.get(&project.path("/file?ref=main&path=l")).expect(200);
    assert_eq!((read.text().as_str(), read.header("x-file-mode")), ("/etc/passwd", Some("120000")), "FILE-034");
    assert_eq!(project.client.get(&project.path("/file?ref=main&path=up/etc/passwd")).status, 404, "FILE-034");
    let change = |path: &str| {
        let head = project.client.get(&project.path("/commits?ref=main")).json()["items"][0]["id"].clone();
        json!({"branch": "main", "expected_head": head, "message": "x",
            "changes": [{"action": "put", "path": path, "content": "x"}]})
    };
    let through = project.client.post(&project.path("/commits"), &change("up/x"));
    assert!([201, 400, 409, 422].contains(&through.status), "FILE-033: {}", through.text());
    assert!(!folder.path().join("x").exists(), "FILE-033");

    let bytes: Vec<u8> = [&b"\xef\xbb\xbf"[..], &(0..=255).collect::<Vec<u8>>(), b"\r\nend"].concat();
    let draft = project.path("/draft?branch=main&path=bytes.bin");
    let saved = project.client.send("PUT", &draft, &[("If-None-Match", "*")], Some(&bytes));
    assert!(saved.status < 300, "FILE-036: {}", saved.text());
    assert_eq!(project.client.get(&draft).expect(200).body, bytes, "FILE-036");
    let read = project.client.get(&draft);
    let (etag, first) = (read.header("etag").unwrap(), read.body.clone());
    assert!(project.client.send("PUT", &draft, &[("If-Match", etag)], Some(b"second")).status < 300);
    for (case, headers, status) in [
        ("DRAFT-001", [("If-Match", etag)], 412),
        ("DRAFT-002", [("X-Nothing", "1")], 428),
        ("no etag", [("If-Match", "\"")], 412),
    ] {
        refused(case, &project.client.send("PUT", &draft, &headers, Some(&first)), &[status, 400]);
        assert_eq!(project.client.get(&draft).text(), "second", "{case}");
    }
    for (case, message) in
        [("DRAFT-009 NUL", "a\0b".to_owned()), ("DRAFT-009 size", "A".repeat(4 << 20)), ("empty", String::new())]
    {
        let mut body = change("a.txt");
        body["message"] = Value::String(message);
        refused(case, &project.client.post(&project.path("/commits"), &body), &[400, 413, 422]);
    }
    let mut signed = change("b.txt");
    signed["message"] = json!("x\n\ngpgsig evil\r\ncommitter evil <e@e> 1 +0000");
    let made = project.client.post(&project.path("/commits"), &signed);
    assert!([201, 422].contains(&made.status), "DRAFT-009: {}", made.text());
    git(folder.path(), &["clone", "-q", "-c", "core.symlinks=false", &project.git_url(target.platform()), "again"]);
    git(&folder.path().join("again"), &["fsck", "--strict"]);
    target.unharmed(&[]);
}

#[test]
fn an_upload_takes_exactly_what_was_agreed() {
    let target = Target::start();
    let project = target.team.project("shop", "empty");
    let svg = b"<svg onload=alert(1)>";
    let sha256 = hex::encode(Sha256::digest(svg));
    let start = |path: &str, length: u64, kind: &str, sha256: &str| {
        let body = json!({"path": path, "length": length, "content_type": kind, "sha256": sha256});
        project.client.post(&project.path("/uploads"), &body)
    };
    for (case, answer) in [
        ("UPLOAD-014", start("a\"\r\nX: y\u{202e}gpj.exe", 1, "text/plain", &sha256)),
        ("size", start("a", u64::MAX, "text/plain", &sha256)),
        ("kind", start("a", 1, "a\r\nb", &sha256)),
        ("no kind", start("a", 1, "", &sha256)),
        ("digest", start("a", 1, "text/plain", "zz")),
    ] {
        refused(case, &answer, &[400, 413, 422]);
    }
    let upload = start("a\"b.svg", 21, "image/svg+xml", &sha256).expect(201).json();
    let url = upload["put"]["url"].as_str().unwrap().to_owned();
    let headers = upload["put"]["headers"].as_object().unwrap().clone();
    let anonymous = target.platform().anonymous();
    let put = |url: &str, changed: Option<(&str, &str)>, body: &[u8]| -> Answer {
        let mut all: Vec<(&str, &str)> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str().unwrap()))
            .filter(|(n, _)| !n.eq_ignore_ascii_case("content-length"))
            .collect();
        if let Some((name, value)) = changed {
            all.retain(|(found, _)| !found.eq_ignore_ascii_case(name));
            all.push((name, value));
        }
        anonymous.send("PUT", url, &all, Some(body))
    };
    let key = url.split('?').next().unwrap();
    for (case, url, changed, body) in [
        ("UPLOAD-005", url.clone(), Some(("x-amz-checksum-sha256", "AAAA")), &svg[..]),
        ("other bytes", url.clone(), None, &b"<svg onload=alert(2)>"[..]),
        ("more bytes", url.clone(), None, b"<svg onload=alert(1)>!"),
        ("another kind", url.clone(), Some(("content-type", "text/html")), svg),
        ("UPLOAD-007 a longer life", url.replace("X-Amz-Expires=", "X-Amz-Expires=9"), None, svg),
        ("another time", url.replace("X-Amz-Date=2", "X-Amz-Date=3"), None, svg),
        ("another signature", url.replace("X-Amz-Signature=", "X-Amz-Signature=0"), None, svg),
        ("another signer", url.replace("X-Amz-Credential=A", "X-Amz-Credential=B"), None, svg),
        (
            "fewer signed headers",
            url.replace("X-Amz-SignedHeaders=content-length%3B", "X-Amz-SignedHeaders="),
            None,
            svg,
        ),
        ("UPLOAD-002 another key", url.replace(key, &format!("{key}x")), None, svg),
        ("more query", format!("{url}&acl"), None, svg),
        ("no signature", key.to_owned(), None, svg),
    ] {
        let answer = put(&url, changed, body);
        assert!([400, 403].contains(&answer.status), "{case}: {} {}", answer.status, answer.text());
    }
    assert_eq!(anonymous.get(&url).status, 403, "an upload's URL reads nothing");
    let done = project.path(&format!("/uploads/{}/completion", upload["id"].as_str().unwrap()));
    refused("before the bytes", &project.client.post(&done, &json!({})), &[409, 422]);
    assert!(project.client.get(&project.path("/files")).json()["items"].as_array().unwrap().is_empty());
    put(&url, None, svg).expect(200);
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let (client, done) = (project.client.clone(), done.clone());
            std::thread::spawn(move || client.post(&done, &json!({})).status)
        })
        .collect();
    for one in racing {
        let status = one.join().unwrap();
        assert!([200, 201, 409].contains(&status), "UPLOAD-013: {status}");
    }
    let files = project.client.get(&project.path("/files")).expect(200).json();
    assert_eq!(files["items"].as_array().unwrap().len(), 1, "UPLOAD-013");
    let content = project.path(&format!("/files/{}/content", files["items"][0]["id"].as_str().unwrap()));
    let url = project.client.get(&content).expect(200).json()["url"].as_str().unwrap().to_owned();
    let view = anonymous.get(&url).expect(200);
    assert_eq!(view.body, svg);
    let disposition = view.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment") && !disposition.contains("a\"b"), "UPLOAD-015: {disposition}");
    assert_eq!(view.header("x-content-type-options"), Some("nosniff"), "UPLOAD-015");
    assert!(view.header("content-security-policy").unwrap().contains("sandbox"), "UPLOAD-015");
    assert_eq!(view.header("referrer-policy"), Some("no-referrer"), "UPLOAD-018");

    let refusal =
        (0..1_000).map(|n| start(&format!("p{n}"), 1, "text/plain", &sha256)).find(|answer| answer.status != 201);
    refused("UPLOAD-016", &refusal.expect("a thousand uploads may wait"), &[403, 413, 429]);
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap();
    target.unharmed(&[signature]);
}
