//! Git LFS: the stock client over presigned transfers that pass through no function, locks, builds, and what is refused.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use workroom_tests::tools::{fail, git, git_with_lfs, succeed};
use workroom_tests::{Answer, Client, CountingDoor, Project, Team, deployed, join};

const MIB: u64 = 1024 * 1024;
/// More than this of a large file's transfer would be the file itself.
const TALK_MAX: u64 = MIB;
/// How much the platform's memory may grow while a large file passes beside it (bytes).
const GROWTH_MAX: u64 = 64 * MIB;
const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// Writes bytes that do not compress; the answer is their SHA-256.
fn write_noise(to: &Path, length: u64) -> String {
    let (mut file, mut hash) = (std::fs::File::create(to).unwrap(), Sha256::new());
    let (mut state, mut left, mut buffer) = (0x9e37_79b9_7f4a_7c15_u64, length, vec![0_u8; 1 << 20]);
    while left > 0 {
        for chunk in buffer.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
        let piece = &buffer[..usize::try_from(left.min(1 << 20)).unwrap()];
        file.write_all(piece).unwrap();
        hash.update(piece);
        left -= piece.len() as u64;
    }
    hex::encode(hash.finalize())
}

fn digest(path: &Path) -> String {
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path).unwrap(), &mut hash).unwrap();
    hex::encode(hash.finalize())
}

fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
}

/// A clone of the project through `authority`, with the hooks of `git lfs install`.
fn clone(folder: &Path, url: &str, name: &str) -> std::path::PathBuf {
    succeed(&mut git_with_lfs(folder, &["clone", "-q", url, name]));
    let work = folder.join(name);
    succeed(&mut git_with_lfs(&work, &["lfs", "install", "--local"]));
    work
}

fn push_large(work: &Path, length: u64) -> String {
    succeed(&mut git_with_lfs(work, &["lfs", "track", "*.bin"]));
    let oid = write_noise(&work.join("film.bin"), length);
    succeed(&mut git_with_lfs(work, &["add", ".gitattributes", "film.bin"]));
    succeed(&mut git_with_lfs(work, &["commit", "-q", "-m", "a film"]));
    succeed(&mut git_with_lfs(work, &["push", "-q", "origin", "HEAD:main"]));
    oid
}

/// Pushes and clones a file of `length` through a door that counts.
fn goes_around_the_functions(length: u64) {
    if deployed::leaves_out("the bytes are counted at this machine's gateway") {
        return;
    }
    let team = Team::start();
    let project = team.project("film", "empty");
    let door = CountingDoor::before(team.platform.authority());
    let url = project.git_url(&team.platform).replace(team.platform.authority(), &door.authority());
    let folder = tempfile::tempdir().unwrap();
    let memory = peak_memory(team.platform.pid());

    let work = clone(folder.path(), &url, "first");
    let oid = push_large(&work, length);
    let pushed = door.bytes();
    let tree = succeed(&mut git(&work, &["show", "HEAD:film.bin"]));
    assert!(tree.contains(&oid), "the repository holds a pointer: {tree}");

    let second = clone(folder.path(), &url, "second");
    assert_eq!(digest(&second.join("film.bin")), oid, "the clone has the film");
    let all = door.bytes();
    println!("{length} bytes pushed and cloned; {pushed} then {all} bytes went through the gateway");
    assert!(all > 0 && all < TALK_MAX, "{all} bytes went through the gateway");
    let grown = peak_memory(team.platform.pid()).saturating_sub(memory);
    assert!(grown < GROWTH_MAX, "the platform grew by {grown} bytes");

    // Pushed again it is not sent again: the batch has no action for it.
    let asked = Lfs::of(&project);
    let batch = asked.batch("upload", &[(&oid, length)]).expect(200).json();
    assert_eq!(batch["objects"][0]["actions"], Value::Null, "{batch}");
}

#[test]
fn a_large_file_is_pushed_and_cloned_beside_the_functions() {
    goes_around_the_functions(24 * MIB);
}

/// `cargo test -p workroom-tests --test lfs -- --ignored`
#[test]
#[ignore = "writes 1.5 GB to the disk"]
fn three_hundred_megabytes_are_pushed_and_cloned_beside_the_functions() {
    goes_around_the_functions(300 * MIB);
}

#[test]
fn locks_are_taken_listed_and_given_back_by_the_stock_client() {
    let team = Team::start();
    let project = team.project("locks", "empty");
    let bob = join(&team.platform, &team.admin, "bob@example.com", "Bob", "correct horse battery staple");
    add_member(&team, &project, &bob, "developer");
    let (folder, url) = (tempfile::tempdir().unwrap(), project.git_url(&team.platform));
    let work = clone(folder.path(), &url, "ada");
    push_large(&work, 5_000);
    let theirs = Project { slug: project.slug.clone(), client: bob };
    let other = clone(folder.path(), &theirs.git_url(&team.platform), "bob");

    let lfs = |at: &Path, arguments: &[&str]| {
        let all: Vec<&str> = std::iter::once("lfs").chain(arguments.iter().copied()).collect();
        git_with_lfs(at, &all)
    };
    let said = succeed(&mut lfs(&work, &["lock", "film.bin"]));
    assert!(said.contains("Locked film.bin"), "{said}");
    assert!(fail(&mut lfs(&other, &["lock", "film.bin"])).contains("already locked"));
    let listed: Value = serde_json::from_str(&succeed(&mut lfs(&other, &["locks", "--json"]))).unwrap();
    assert_eq!((&listed[0]["path"], &listed[0]["owner"]["name"]), (&json!("film.bin"), &json!("Ada")));
    let verified: Value = serde_json::from_str(&succeed(&mut lfs(&other, &["locks", "--verify", "--json"]))).unwrap();
    assert_eq!((verified["ours"].as_array().unwrap().len(), verified["theirs"].as_array().unwrap().len()), (0, 1));

    // The client keeps a push away from a file that another has locked, and a plain lock away from force.
    std::fs::write(other.join("film.bin"), "another film").unwrap();
    succeed(&mut git_with_lfs(&other, &["commit", "-q", "-a", "-m", "mine"]));
    succeed(&mut git_with_lfs(&other, &["config", "lfs.locksverify", "true"]));
    let said = fail(&mut git_with_lfs(&other, &["push", "origin", "HEAD:main"]));
    assert!(said.contains("film.bin") && said.contains("Ada"), "{said}");
    let id = listed[0]["id"].as_str().unwrap();
    assert!(fail(&mut lfs(&other, &["unlock", "--id", id])).contains("belongs to Ada"));
    assert!(fail(&mut lfs(&other, &["unlock", "--force", "--id", id])).contains("role"));
    succeed(&mut lfs(&work, &["unlock", "film.bin"]));
    assert_eq!(succeed(&mut lfs(&other, &["locks"])).trim(), "");

    let theirs = Lfs::of(&theirs);
    let taken = theirs.post("/locks", &json!({"path": "film.bin"})).expect(201).json();
    let id = taken["lock"]["id"].as_str().unwrap();
    // The owner of the project may take it away.
    succeed(&mut lfs(&work, &["unlock", "--force", "--id", id]));
    theirs.post(&format!("/locks/{id}/unlock"), &json!({})).expect(404);
    let events = project.client.get(&project.path("/events?after=0&limit=100")).expect(200).json();
    let kinds: Vec<&str> = events["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    for (kind, times) in [("lfs.stored", 1), ("lfs.locked", 2), ("lfs.unlocked", 2)] {
        assert_eq!(kinds.iter().filter(|found| **found == kind).count(), times, "{kind}: {kinds:?}");
    }
}

#[test]
fn locks_come_in_pages() {
    let team = Team::start();
    let project = team.project("pages", "empty");
    let lfs = Lfs::of(&project);
    for number in 0..7 {
        lfs.post("/locks", &json!({"path": format!("a/{number}.bin"), "ref": {"name": "refs/heads/main"}})).expect(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = lfs.get(&format!("/locks?limit=3&cursor={cursor}&refspec=refs/heads/main")).expect(200).json();
        let locks = page["locks"].as_array().unwrap();
        assert!(locks.len() <= 3);
        seen.extend(locks.iter().map(|lock| lock["path"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, (0..7).map(|number| format!("a/{number}.bin")).collect::<Vec<_>>());
    let one = lfs.get("/locks?path=a/3.bin").expect(200).json();
    assert_eq!(one["locks"].as_array().unwrap().len(), 1);
    let id = one["locks"][0]["id"].as_str().unwrap();
    assert_eq!(lfs.get(&format!("/locks?id={id}")).expect(200).json()["locks"][0]["path"], "a/3.bin");
    assert_eq!(lfs.get("/locks?path=nothing").expect(200).json()["locks"], json!([]));
    assert!(one["locks"][0]["locked_at"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_build_has_the_files_and_not_their_pointers() {
    if deployed::leaves_out("a deployed worker builds as this one does") {
        return;
    }
    let team = Team::start();
    let project = team.project("built", "python");
    let folder = tempfile::tempdir().unwrap();
    let work = clone(folder.path(), &project.git_url(&team.platform), "work");
    let function = work.join("functions/greet");
    succeed(&mut git_with_lfs(&work, &["lfs", "track", "*.dat"]));
    let oid = write_noise(&function.join("model.dat"), 200_000);
    // A pointer whose object nobody has pushed.
    let lost = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n", "1".repeat(64));
    std::fs::write(work.join("lost.txt"), &lost).unwrap();
    succeed(&mut git_with_lfs(&work, &["add", "--all", "--force"]));
    succeed(&mut git_with_lfs(&work, &["commit", "-q", "-m", "a model"]));
    let incomplete = "lfs.allowincompletepush=true";
    succeed(&mut git_with_lfs(&work, &["-c", incomplete, "push", "-q", "origin", "HEAD:main"]));

    let job = project.succeeded(project.build("main"));
    let log = project.log(job["id"].as_str().unwrap());
    assert!(log.contains("1 of 2 files in Git LFS are here") && log.contains("`lost.txt` stays a pointer"), "{log}");
    let found = job["result"]["artifacts"].as_array().unwrap().iter().any(|artifact| {
        let path = project.path(&format!("/artifacts/{}", artifact["sha256"].as_str().unwrap()));
        let url = project.client.get(&path).expect(200).json()["url"].as_str().unwrap().to_owned();
        let zip = folder.path().join("artifact.zip");
        succeed(Command::new("curl").args(["-sSf", "-o"]).arg(&zip).arg(url));
        let out = tempfile::tempdir().unwrap();
        let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])";
        succeed(Command::new("python3").args(["-c", script]).arg(&zip).arg(out.path()));
        out.path().join("model.dat").is_file() && digest(&out.path().join("model.dat")) == oid
    });
    assert!(found, "no artifact has the model");

    // Over REST the pointer says what it is, and where the object is.
    let path = function.strip_prefix(&work).unwrap().join("model.dat");
    let file = project.client.get(&project.path(&format!("/file?ref=main&path={}", path.display()))).expect(200);
    assert_eq!((file.header("x-lfs-oid"), file.header("x-lfs-size")), (Some(oid.as_str()), Some("200000")));
    let object = project.client.get(&project.path(&format!("/lfs/{oid}?name=model.dat"))).expect(200).json();
    let got = Client::new("").get(object["content"]["url"].as_str().unwrap()).expect(200);
    assert_eq!((hex::encode(Sha256::digest(&got.body)), object["size"].as_u64()), (oid, Some(200_000)));
    assert!(got.header("content-disposition").unwrap().contains("model.dat"));
    project.client.get(&project.path(&format!("/lfs/{}", "2".repeat(64)))).expect(404);
    project.client.get(&project.path("/lfs/x%2Fy")).expect(404);
}

/// One caller of the LFS routes.
struct Lfs {
    client: Client,
    base: String,
    proof: String,
}

impl Lfs {
    fn of(project: &Project) -> Self {
        let proof = format!("Basic {}", STANDARD.encode(format!("x:{}", project.token())));
        Self::at(project, &project.slug, &proof)
    }

    fn at(project: &Project, slug: &str, proof: &str) -> Self {
        let base = format!("/git/{slug}.git/info/lfs");
        Self { client: project.client.anonymous(), base, proof: proof.to_owned() }
    }

    fn send(&self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        let headers = [("Authorization", self.proof.as_str()), ("Accept", MEDIA_TYPE), ("Content-Type", MEDIA_TYPE)];
        let address = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        self.client.send(method, &address, &headers, body)
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes()))
    }

    fn batch(&self, operation: &str, objects: &[(&str, u64)]) -> Answer {
        let objects: Vec<Value> = objects.iter().map(|(oid, size)| json!({"oid": oid, "size": size})).collect();
        self.post("/objects/batch", &json!({"operation": operation, "transfers": ["basic"], "objects": objects}))
    }
}

fn add_member(team: &Team, project: &Project, who: &Client, role: &str) {
    let account = who.get("/me").expect(200).json()["id"].as_str().unwrap().to_owned();
    let path = project.path(&format!("/members/{account}"));
    let answer = team.person.json("PUT", &path, &[("If-None-Match", "*")], &json!({"role": role}));
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
}

fn put(action: &Value, change: Option<(&str, &str)>, body: &[u8]) -> u16 {
    let mut headers: Vec<(&str, &str)> = action["header"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    if let Some((name, value)) = change {
        headers.iter_mut().find(|(found, _)| found.eq_ignore_ascii_case(name)).unwrap().1 = value;
    }
    Client::new("").send("PUT", action["href"].as_str().unwrap(), &headers, Some(body)).status
}

#[test]
fn what_is_sent_must_be_what_was_named() {
    let team = Team::start();
    let project = team.project("named", "empty");
    let lfs = Lfs::of(&project);
    let bytes = b"exactly these bytes";
    let (oid, size) = (hex::encode(Sha256::digest(bytes)), bytes.len() as u64);
    let batch = lfs.batch("upload", &[(&oid, size)]).expect(200).json();
    let object = &batch["objects"][0];
    assert_eq!((&batch["transfer"], &object["authenticated"]), (&json!("basic"), &json!(true)));
    let upload = &object["actions"]["upload"];
    assert!(upload["header"].get("Authorization").is_none(), "no password goes to the storage: {upload}");
    let verify = object["actions"]["verify"]["href"].as_str().unwrap();

    // Nothing is taken that has not arrived, or that is something else.
    lfs.post(verify, &json!({"oid": oid, "size": size})).expect(404);
    for (change, body) in [
        (None, &b"exactly those bytes"[..]),
        (None, b"exactly these bytes and more"),
        (None, b""),
        (Some(("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")), b"hello"),
        (Some(("content-type", "text/html")), bytes),
    ] {
        let status = put(upload, change, body);
        assert!([400, 403, 411].contains(&status), "{change:?} {status}");
    }
    lfs.post(verify, &json!({"oid": oid, "size": size})).expect(404);
    assert_eq!(lfs.batch("download", &[(&oid, size)]).expect(200).json()["objects"][0]["error"]["code"], 404);

    assert_eq!(put(upload, None, bytes), 200);
    assert_eq!(
        lfs.batch("download", &[(&oid, size)]).expect(200).json()["objects"][0]["error"]["code"],
        404,
        "not verified"
    );
    lfs.post(verify, &json!({"oid": oid, "size": size + 1})).expect(422);
    for _ in 0..2 {
        lfs.post(verify, &json!({"oid": oid, "size": size})).expect(200);
    }
    let found = lfs.batch("download", &[(&oid, size), (&oid, size + 1)]).expect(200).json();
    let got = Client::new("").get(found["objects"][0]["actions"]["download"]["href"].as_str().unwrap()).expect(200);
    assert_eq!(got.body, bytes);
    assert_eq!(found["objects"][1]["error"]["code"], 422, "{found}");
    assert_eq!(lfs.batch("upload", &[(&oid, size)]).expect(200).json()["objects"][0].get("actions"), None);
}

#[test]
fn each_object_has_its_own_error_and_bad_requests_have_gits_words() {
    let team = Team::start();
    let project = team.project("wrong", "empty");
    let lfs = Lfs::of(&project);
    let zero = "0".repeat(64);
    let objects = json!([
        {"oid": zero, "size": -1}, {"oid": "../../etc/passwd", "size": 1}, {"oid": "A".repeat(64), "size": 1},
        {"oid": "", "size": 1}, {"oid": zero, "size": 6_u64 << 30}, {"oid": format!("{zero}0"), "size": 1},
    ]);
    for operation in ["upload", "download"] {
        let answer =
            lfs.post("/objects/batch", &json!({"operation": operation, "objects": objects})).expect(200).json();
        for object in answer["objects"].as_array().unwrap() {
            assert_eq!(object["error"]["code"], 422, "{object}");
            assert!(object.get("actions").is_none());
        }
    }
    let other = json!({"operation": "download", "hash_algo": "sha512", "objects": [{"oid": zero, "size": 1}]});
    assert_eq!(lfs.post("/objects/batch", &other).expect(200).json()["objects"][0]["error"]["code"], 409);

    let many: Vec<(String, u64)> = (0..1001).map(|n| (format!("{n:064x}"), 1)).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|(oid, size)| (oid.as_str(), *size)).collect();
    lfs.batch("upload", &many).expect(413);
    lfs.batch("download", &many).expect(413);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, expected) in [
        ("", 400),
        ("{", 400),
        ("nul", 400),
        ("[]", 422),
        (r#"{"operation":"upload"}"#, 422),
        (r#"{"operation":"delete","objects":[]}"#, 422),
        (r#"{"operation":"upload","objects":[{"oid":1,"size":1}]}"#, 422),
        (r#"{"operation":"upload","objects":[{"oid":"a","size":1e30}]}"#, 422),
        (deep.as_str(), 400),
    ] {
        let answer = lfs.send("POST", "/objects/batch", Some(body.as_bytes()));
        assert!(answer.status == expected || [400, 422].contains(&answer.status), "{body:.60}: {}", answer.status);
        assert_eq!(answer.header("content-type"), Some(MEDIA_TYPE));
        let told = answer.json();
        assert!(!told["message"].as_str().unwrap().is_empty() && told["request_id"].is_string(), "{told}");
        assert!(told["documentation_url"].as_str().unwrap().starts_with("https://"));
    }
    let large = vec![b' '; 2 << 20];
    assert_eq!(lfs.send("POST", "/objects/batch", Some(&large)).status, 413);
    let plain = |content_type: &str, accept: &str| {
        let headers = [("Authorization", lfs.proof.as_str()), ("Content-Type", content_type), ("Accept", accept)];
        let body = br#"{"operation":"download","objects":[]}"#;
        lfs.client.send("POST", &format!("{}/objects/batch", lfs.base), &headers, Some(body)).status
    };
    assert_eq!(plain("text/plain", MEDIA_TYPE), 415);
    assert_eq!(plain(MEDIA_TYPE, "text/html"), 406);
    assert_eq!(plain("application/vnd.git-lfs+json; charset=utf-8", "*/*"), 200);
    for path in ["../up", "/root", "a//b", ".git/config", ""] {
        lfs.post("/locks", &json!({"path": path})).expect(422);
    }
    for id in ["x", "%2E%2E%2F", "01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        lfs.post(&format!("/locks/{id}/unlock"), &json!({})).expect(404);
    }
    lfs.get("/locks?cursor=zzz").expect(400);
    lfs.post("/locks/verify", &json!({"cursor": "../x"})).expect(400);
}

#[test]
fn who_may_not_write_or_know_is_told_as_git_is() {
    let team = Team::start();
    let (project, other) = (team.project("mine", "empty"), team.project("other", "empty"));
    let lfs = Lfs::of(&project);
    let bytes = b"a secret film";
    let (oid, size) = (hex::encode(Sha256::digest(bytes)), bytes.len() as u64);
    let actions = lfs.batch("upload", &[(&oid, size)]).expect(200).json()["objects"][0]["actions"].clone();
    assert_eq!(put(&actions["upload"], None, bytes), 200);
    lfs.post("/objects/verify", &json!({"oid": oid, "size": size})).expect(200);

    // Who knows an object's name has not got it: another project's objects are not here.
    let elsewhere = Lfs::of(&other);
    assert_eq!(elsewhere.batch("download", &[(&oid, size)]).expect(200).json()["objects"][0]["error"]["code"], 404);
    let anew = elsewhere.batch("upload", &[(&oid, size)]).expect(200).json();
    assert!(anew["objects"][0]["actions"]["upload"].is_object(), "it has to be sent there too: {anew}");
    elsewhere.post("/objects/verify", &json!({"oid": oid, "size": size})).expect(404);

    let none = Lfs { proof: "Basic eDp3cnBfbm90aGluZw==".into(), ..Lfs::of(&project) };
    let refused = none.batch("download", &[(&oid, size)]).expect(401);
    assert_eq!(refused.header("lfs-authenticate"), Some("Basic realm=\"Git LFS\", charset=\"UTF-8\""));
    assert_eq!(refused.header("content-type"), Some(MEDIA_TYPE));

    let eve = join(&team.platform, &team.admin, "eve@example.com", "Eve", "correct horse battery staple");
    let eve = Project { slug: project.slug.clone(), client: eve };
    let outside = Lfs::of(&eve);
    let absent = Lfs::at(&eve, "nothing-here", &outside.proof);
    let without_id = |answer: Answer| {
        let mut told = answer.expect(404).json();
        told.as_object_mut().unwrap().remove("request_id");
        told
    };
    for (method, path, body) in [
        ("POST", "/objects/batch", r#"{"operation":"download","objects":[]}"#),
        ("POST", "/objects/batch", r#"{"operation":"upload","objects":[]}"#),
        ("POST", "/objects/verify", r#"{"oid":"","size":1}"#),
        ("POST", "/locks", r#"{"path":"a"}"#),
        ("POST", "/locks/verify", "{}"),
        ("POST", "/locks/01ARZ3NDEKTSV4RRFFQ69G5FAV/unlock", "{}"),
        ("GET", "/locks", ""),
    ] {
        let body = Some(body.as_bytes()).filter(|body| !body.is_empty());
        let theirs = without_id(outside.send(method, path, body));
        assert_eq!(theirs, without_id(absent.send(method, path, body)), "{path}");
    }

    add_member(&team, &project, &eve.client, "viewer");
    outside.batch("upload", &[(&oid, size)]).expect(403);
    outside.post("/objects/verify", &json!({"oid": oid, "size": size})).expect(403);
    outside.post("/locks", &json!({"path": "a"})).expect(403);
    outside.post("/locks/verify", &json!({})).expect(403);
    let got = outside.batch("download", &[(&oid, size)]).expect(200).json();
    let got = Client::new("").get(got["objects"][0]["actions"]["download"]["href"].as_str().unwrap());
    assert_eq!(got.expect(200).body, bytes);
}
