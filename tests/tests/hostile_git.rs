//! Bad input to git over HTTP: GITPROTO-*, REFS-*, PACKBOMB-*, a sample of GITOBJ-*, and AUTHZ-018.
//!
//! Not here: GITPROTO-031 (a minute of silence; tests of `local`), PACKBOMB-012 and the rest of GITOBJ-* (tests of
//! `git-store`, with their generators).
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use workroom_tests::hostile::{Target, refused};
use workroom_tests::tools::{git, succeed};
use workroom_tests::{Answer, Project};

const NONE: &str = "0000000000000000000000000000000000000000";
const RECEIVE: &str = "git-receive-pack";
const UPLOAD: &str = "git-upload-pack";
/// A pack without objects.
const EMPTY: &str = "5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e";

/// A project and the proof that its owner sends to git.
struct Repository<'a> {
    target: &'a Target,
    project: Project,
    proof: String,
    token: String,
}

impl<'a> Repository<'a> {
    fn new(target: &'a Target, slug: &str) -> Self {
        let project = target.team.project(slug, "python");
        let token = project.token();
        let proof = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("ada:{token}")));
        Self { target, project, proof, token }
    }

    fn send(&self, service: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let kind = format!("application/x-{service}-request");
        let mut headers = vec![("Authorization", self.proof.as_str()), ("Content-Type", kind.as_str())];
        headers.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        headers.extend_from_slice(more);
        self.target.send("POST", &format!("/git/{}.git/{service}", self.project.slug), &headers, Some(body))
    }

    fn receive(&self, body: &[u8]) -> String {
        self.send(RECEIVE, &[], body).expect(200).text()
    }

    /// All refs, as git sees them.
    fn refs(&self) -> String {
        let path = format!("/git/{}.git/info/refs?service={UPLOAD}", self.project.slug);
        self.target.send("GET", &path, &[("Authorization", &self.proof)], None).expect(200).text()
    }

    fn head(&self) -> String {
        let log = self.project.client.get(&self.project.path("/commits?ref=main")).expect(200).json();
        log["items"][0]["id"].as_str().unwrap().to_owned()
    }
}

fn line(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

fn push(commands: &[(&str, &str, &str)], capabilities: &str, pack: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (n, (old, new, name)) in commands.iter().enumerate() {
        let end = if n == 0 { format!("\0{capabilities}") } else { String::new() };
        body.extend(line(format!("{old} {new} {name}{end}")));
    }
    [body.as_slice(), b"0000", pack].concat()
}

fn empty() -> Vec<u8> {
    hex::decode(EMPTY).unwrap()
}

#[test]
fn garbage_is_answered_and_moves_nothing() {
    let target = Target::start();
    let at = Repository::new(&target, "shop");
    let before = at.refs();
    for (case, bytes) in [
        ("GITPROTO-006", format!("0035shallow {}0000", at.head()).into_bytes()),
        ("GITPROTO-008", b"0002".to_vec()),
        ("GITPROTO-009", b"0003".to_vec()),
        ("GITPROTO-010", b"0004".to_vec()),
        ("GITPROTO-011", b"ffff".to_vec()),
        ("GITPROTO-012", b"fff1".to_vec()),
        ("GITPROTO-013", b"zzzz".to_vec()),
        ("GITPROTO-014", b"-001".to_vec()),
        ("GITPROTO-016", b"0005".to_vec()),
        ("nothing", Vec::new()),
        ("zeroes", vec![0; 10_000]),
        ("a delimiter", b"0001".to_vec()),
        ("no UTF-8", line([0xff; 100])),
    ] {
        for (service, more) in [(RECEIVE, None), (UPLOAD, None), (UPLOAD, Some(("Git-Protocol", "version=2")))] {
            let answer = at.send(service, more.as_slice(), &bytes);
            assert!([200, 400].contains(&answer.status), "{case} {service}: {} {}", answer.status, answer.text());
            assert!(answer.body.is_empty() || answer.text().contains("ERR"), "{case} {service}: {}", answer.text());
        }
    }
    for path in
        ["/HEAD", "/config", "/objects/info/packs", "/objects/pack/x.pack", "/info/refs", "/info/refs?service=x"]
    {
        let answer = target.send("GET", &format!("/git/shop.git{path}"), &[("Authorization", &at.proof)], None);
        refused(&format!("GITPROTO-036 {path}"), &answer, &[403, 404]);
    }
    for (case, name, value) in [
        ("GITPROTO-033", "Content-Encoding", "gzip, gzip"),
        ("GITPROTO-033", "Content-Encoding", "br"),
        ("GITPROTO-033", "Content-Encoding", "x"),
        ("GITPROTO-034", "Content-Type", "text/plain"),
    ] {
        refused(case, &at.send(UPLOAD, &[(name, value)], b"0000"), &[400, 415]);
    }
    assert_eq!(at.refs(), before);
    target.unharmed(&[&at.token]);
}

#[test]
fn refs_that_may_not_be_are_refused_one_by_one() {
    let target = Target::start();
    let at = Repository::new(&target, "shop");
    let (before, head) = (at.refs(), at.head());
    let long = format!("refs/heads/{}", "a".repeat(8_192));
    for (case, name) in [
        ("REFS-001", "refs/heads/a..b"),
        ("REFS-003", "HEAD"),
        ("REFS-005", "heads/x"),
        ("REFS-006", "refs/"),
        ("REFS-009", "refs/heads/.a"),
        ("REFS-010", "refs/heads/a."),
        ("REFS-012", "refs/heads/a/"),
        ("REFS-016", "refs/heads/a:b"),
        ("REFS-018", "refs/heads/*"),
        ("REFS-020", "refs/heads/a\\b"),
        ("REFS-021", "refs/heads/a@{1}"),
        ("REFS-027", "refs/drafts/x"),
        ("REFS-027 too", "refs/internal/x"),
        ("REFS-029", long.as_str()),
        ("REFS-030", "refs/heads/main/b"),
        ("a lock", "refs/heads/a.lock"),
        ("GITPROTO-043", "refs/heads/\u{1b}[31m"),
    ] {
        let report = at.receive(&push(&[(NONE, &head, name)], "report-status", &empty()));
        assert!(report.contains("ng "), "{case}: {report}");
        assert!(!report.contains('\u{1b}'), "{case}: the terminal was reached");
    }
    let tree = at.project.client.get(&at.project.path(&format!("/commits/{head}"))).expect(200).json()["tree"].clone();
    let (tree, ones, twos) = (tree.as_str().unwrap(), "1".repeat(40), "2".repeat(40));
    for (case, commands, capabilities) in [
        ("REFS-035", vec![(head.as_str(), NONE, "refs/heads/main")], "report-status delete-refs"),
        ("REFS-036", vec![(NONE, tree, "refs/heads/tree")], "report-status"),
        ("GITPROTO-001", vec![(NONE, ones.as_str(), "refs/heads/ghost")], "report-status"),
        ("a stale tip", vec![(twos.as_str(), head.as_str(), "refs/heads/main")], "report-status"),
        ("GITPROTO-018", vec![(NONE, &head, "refs/heads/two"), (&head, NONE, "refs/heads/two")], "report-status"),
        (
            "GITPROTO-022",
            vec![(NONE, &head, "refs/heads/good"), (NONE, &ones, "refs/heads/bad")],
            "report-status atomic",
        ),
    ] {
        let report = at.receive(&push(&commands, capabilities, &empty()));
        assert_eq!(report.matches("ng refs/").count(), commands.len(), "{case}: {report}");
    }
    let many: Vec<String> = (0..100_001).map(|n| format!("refs/heads/m{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (NONE, head.as_str(), name.as_str())).collect();
    assert!(at.receive(&push(&many, "report-status", &empty())).contains("ERR"), "GITPROTO-021");
    assert_eq!(at.refs(), before);

    let report = at.receive(&push(&[(NONE, &head, "refs/heads/å中")], "report-status", &empty()));
    assert!(report.contains("ok refs/heads/å中"), "REFS-031: {report}");
    let report = at.receive(&push(&[(&head, NONE, "refs/heads/å中")], "report-status delete-refs", b""));
    assert!(report.contains("ok refs/heads/å中"), "GITPROTO-003: {report}");
    assert_eq!(at.refs(), before);
    target.unharmed(&[&at.token]);
}

#[test]
fn wants_reach_no_further_than_the_refs() {
    let target = Target::start();
    let (at, other) = (Repository::new(&target, "shop"), Repository::new(&target, "other"));
    other.project.client.post(
        &other.project.path("/commits"),
        &serde_json::json!({"branch": "main", "expected_head": other.head(), "message": "only here",
            "changes": [{"action": "put", "path": "only.txt", "content": "here"}]}),
    );
    let (head, foreign) = (at.head(), other.head());
    let want = |want: &str, rest: &[&str]| {
        let rest: Vec<u8> = rest.iter().flat_map(line).collect();
        let body = [line(format!("want {want} ofs-delta\n")), rest, b"0000".to_vec(), line("done\n")].concat();
        at.send(UPLOAD, &[], &body).expect(200)
    };
    for (case, oid) in [("AUTHZ-018", foreign.as_str()), ("GITPROTO-038", &"1".repeat(40))] {
        let answer = want(oid, &[]);
        assert!(answer.text().contains("not our ref") && !answer.text().contains("PACK"), "{case}: {}", answer.text());
    }
    for argument in [
        "deepen 2147483647",
        "deepen -1",
        "deepen 99999999999999",
        "deepen-since 0",
        "filter sparse:oid=x",
        "filter blob:limit=-1",
    ] {
        let answer = want(&head, &[argument]).text();
        assert!(answer.contains("ERR") || answer.contains("PACK"), "GITPROTO-040 {argument}: {answer}");
    }
    for (case, command, arguments) in [
        (
            "GITPROTO-041",
            "fetch",
            vec![format!("want {head}"), "packfile-uris http,https".to_owned(), "done".to_owned()],
        ),
        ("GITPROTO-041", "bundle-uri", vec![]),
        ("hidden refs", "ls-refs", vec!["ref-prefix refs/drafts".to_owned(), "ref-prefix refs/internal".to_owned()]),
        ("a long line", "ls-refs", vec!["x\u{1b}[31m".repeat(7_000)]),
        ("many haves", "fetch", (0..50_000).map(|n| format!("have {n:040x}")).chain(["done".to_owned()]).collect()),
        ("an unknown command", "evil", vec![]),
    ] {
        let rest: Vec<u8> = arguments.iter().flat_map(line).collect();
        let body = [line(format!("command={command}")), b"0001".to_vec(), rest, b"0000".to_vec()].concat();
        let answer = at.send(UPLOAD, &[("Git-Protocol", "version=2")], &body).expect(200);
        assert!(!answer.text().contains("://"), "{case}: {}", answer.text());
        assert!(!answer.text().contains("refs/drafts/") && !answer.text().contains('\u{1b}'), "{case}: the terminal");
        assert!(answer.body.len() < 8_192, "{case}: {} bytes", answer.body.len());
    }
    target.unharmed(&[&at.token, &other.token]);
}

/// A pack of these objects, made by stock git from whatever bytes there are; and the last object's id.
fn pack(folder: &Path, objects: &[(&str, Vec<u8>)]) -> (Vec<u8>, String) {
    let pipe = |arguments: &[&str], input: &[u8]| {
        let mut child = git(folder, arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    let mut ids = String::new();
    for (kind, bytes) in objects {
        let id = pipe(&["hash-object", "-t", kind, "--literally", "-w", "--stdin"], bytes);
        ids.push_str(&String::from_utf8(id).unwrap());
    }
    (pipe(&["pack-objects", "-q", "--stdout"], ids.as_bytes()), ids.lines().last().unwrap().to_owned())
}

fn entry(mode: &str, name: &str) -> Vec<u8> {
    let blob = hex::decode("2e65efe2a145dda7ee51d1741299f848e5bf752e").unwrap();
    [format!("{mode} {name}\0").as_bytes(), &blob].concat()
}

fn commit(tree: &str, rest: &str) -> Vec<u8> {
    format!("tree {tree}\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n{rest}\nx\n")
        .into_bytes()
}

#[test]
fn objects_that_would_harm_a_checkout_are_refused() {
    let target = Target::start();
    let at = Repository::new(&target, "shop");
    let before = at.refs();
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["init", "-q", "."]));
    let both = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    for (case, tree, taken) in [
        ("GITOBJ-001", entry("100644", ".git"), false),
        ("GITOBJ-002", entry("100644", ".GIT"), false),
        ("GITOBJ-008", entry("100644", ".git::$INDEX_ALLOCATION"), false),
        ("GITOBJ-011", entry("100644", ".g\u{200d}it"), false),
        ("GITOBJ-012", entry("100644", "\u{feff}.git"), false),
        ("GITOBJ-013", entry("100644", ".."), false),
        ("GITOBJ-014", entry("100644", "."), false),
        ("GITOBJ-016", entry("100644", "/etc"), false),
        ("GITOBJ-017", entry("100644", "../x"), false),
        ("GITOBJ-036", entry("100644", ""), false),
        ("GITOBJ-038", both(entry("100644", "a"), entry("100755", "a")), false),
        ("GITOBJ-039", both(entry("100644", "b"), entry("100644", "a")), false),
        ("GITOBJ-050", entry("120000", ".gitmodules"), false),
        ("cut short", entry("100644", "a")[..20].to_vec(), false),
        ("GITOBJ-023", entry("100644", "con"), true),
        ("GITOBJ-031", entry("100644", "-x"), true),
    ] {
        let (_, id) = pack(folder.path(), &[("blob", b"a".to_vec()), ("tree", tree.clone())]);
        let objects = [("blob", b"a".to_vec()), ("tree", tree), ("commit", commit(&id, ""))];
        let (pack, tip) = pack(folder.path(), &objects);
        let name = format!("refs/heads/{}", case.replace(' ', "-"));
        let report = at.receive(&push(&[(NONE, &tip, &name)], "report-status", &pack));
        assert_eq!(report.contains(&format!("ok {name}")), taken, "{case}: {report}");
        if taken {
            at.receive(&push(&[(&tip, NONE, &name)], "report-status delete-refs", b""));
        }
    }
    let (_, tree) = pack(folder.path(), &[("blob", b"a".to_vec()), ("tree", entry("100644", "a"))]);
    for (case, bytes) in [
        ("GITOBJ-062", commit(&tree, "\0")),
        (
            "GITOBJ-064",
            String::from_utf8(commit(&tree, "")).unwrap().replace("1700000000", "99999999999999999999").into_bytes(),
        ),
        ("GITOBJ-046", commit(&"3".repeat(40), "")),
        ("GITOBJ-045", commit(NONE, "")),
    ] {
        let objects = [("blob", b"a".to_vec()), ("tree", entry("100644", "a")), ("commit", bytes)];
        let (pack, tip) = pack(folder.path(), &objects);
        let report = at.receive(&push(&[(NONE, &tip, "refs/heads/bad")], "report-status", &pack));
        assert!(!report.contains("ok refs"), "{case}: {report}");
    }
    assert_eq!(at.refs(), before);
    target.unharmed(&[&at.token]);
}

#[test]
fn packs_that_lie_are_refused_quickly() {
    let target = Target::start();
    let at = Repository::new(&target, "shop");
    let before = at.refs();
    let folder = tempfile::tempdir().unwrap();
    succeed(&mut git(folder.path(), &["init", "-q", "."]));
    let (whole, tip) = pack(folder.path(), &[("blob", b"a".to_vec()), ("tree", entry("100644", "a"))]);
    let header = |version: u32, count: u32| [b"PACK".as_slice(), &version.to_be_bytes(), &count.to_be_bytes()].concat();
    let mut cases = vec![
        ("PACKBOMB-007", header(2, u32::MAX)),
        ("PACKBOMB-006", [header(2, 1), vec![0xbf, 255, 255, 255, 255, 255, 255, 255, 255, 0x7f, 0x78, 1]].concat()),
        ("another version", header(9, 0)),
        ("no pack", b"JUNK".repeat(100)),
        ("more after the end", [empty(), b"more".to_vec()].concat()),
        ("a changed byte", {
            let mut bytes = whole.clone();
            bytes[20] ^= 1;
            bytes
        }),
        ("GITPROTO-028", [header(2, 1), vec![0x74], vec![0x11; 20], vec![0x78, 1, 3, 0, 0, 0, 0, 1]].concat()),
    ];
    cases.extend((0..whole.len()).step_by(16).map(|end| ("GITPROTO-025", whole[..end].to_vec())));
    for (case, pack) in cases {
        let report = at.receive(&push(&[(NONE, &tip, "refs/heads/bad")], "report-status", &pack));
        assert!(report.contains("unpack ") && !report.contains("unpack ok"), "{case}: {report}");
    }
    let body = push(&[(NONE, &tip, "refs/heads/bad")], "report-status", &whole);
    let mut stream = target.connect();
    let start = format!(
        "POST /git/shop.git/{RECEIVE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Type: application/x-{RECEIVE}-request\r\nContent-Length: {}\r\n\r\n",
        at.proof,
        body.len()
    );
    stream.write_all(start.as_bytes()).unwrap();
    stream.write_all(&body[..body.len() - 20]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    assert!(!said.contains("unpack ok"), "GITPROTO-030: {said}");
    assert_eq!(at.refs(), before);
    target.unharmed(&[&at.token]);
}
