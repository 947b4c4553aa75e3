//! Clients that do not mean well, or break off.

use base64::Engine;
use bytes::Bytes;
use futures::StreamExt;
use git_store::{Oid, RefName, RefUpdate};

use crate::machine::Machine;
use crate::raw::{Pack, ZERO, deflate, hash, head, packet, push, varint};

async fn report(machine: &Machine, request: Vec<u8>) -> String {
    String::from_utf8_lossy(&machine.post("git-receive-pack", request).await).into_owned()
}

async fn refs(machine: &Machine) -> Vec<(String, Oid)> {
    let refs = machine.store.refs(&machine.id).await.unwrap();
    refs.into_iter().map(|r| (r.name.to_string(), r.oid)).collect()
}

/// A machine whose main has one commit; the answer has the commit, its tree and its blob.
async fn with_commit() -> (Machine, Oid, Oid, Oid) {
    let machine = Machine::start().await;
    let mut pack = Pack::default();
    let blob = pack.blob("hello, this is a base of some length\n");
    let tree = pack.tree(&[("100644", b"a", blob)]);
    let commit = pack.commit(tree, &[]);
    let said = report(&machine, push(&[(ZERO, &commit.to_string(), "refs/heads/main")], "", &pack.finish())).await;
    assert!(said.contains("ok refs/heads/main"), "{said}");
    (machine, commit, tree, blob)
}

#[tokio::test]
async fn a_ref_to_nothing_is_refused() {
    let (machine, ..) = with_commit().await;
    let before = refs(&machine).await;
    let ghost = "1".repeat(40);
    let said = report(&machine, push(&[(ZERO, &ghost, "refs/heads/ghost")], "", &Pack::default().finish())).await;
    assert!(said.contains("ng refs/heads/ghost"), "{said}");
    assert_eq!(refs(&machine).await, before);
}

#[tokio::test]
async fn bad_ref_names_are_refused_one_by_one() {
    let (machine, commit, tree, blob) = with_commit().await;
    let before = refs(&machine).await;
    let oid = commit.to_string();
    let long = format!("refs/heads/{}", "a".repeat(8192));
    for name in [
        "refs/heads/a..b",
        "HEAD",
        "heads/x",
        "refs/",
        "refs/heads/.a",
        "refs/heads/a.",
        "refs/heads/a/",
        "refs/heads/a:b",
        "refs/heads/*",
        "refs/heads/a\\b",
        "refs/heads/a@{1}",
        "refs/drafts/x",
        "refs/internal/x",
        "refs/heads/main/sub",
        "refs/heads/\u{1b}[31m",
        &long,
    ] {
        let said = report(&machine, push(&[(ZERO, &oid, name)], "", &Pack::default().finish())).await;
        assert!(said.contains("ng "), "{name}: {said}");
        assert!(!said.contains('\u{1b}'), "the message is shown on a terminal");
    }
    for oid in [tree, blob] {
        let request = push(&[(ZERO, &oid.to_string(), "refs/heads/x")], "", &Pack::default().finish());
        assert!(report(&machine, request).await.contains("ng refs/heads/x"));
    }
    assert_eq!(refs(&machine).await, before);
    let said = report(&machine, push(&[(ZERO, &oid, "refs/heads/å中")], "", &Pack::default().finish())).await;
    assert!(said.contains("ok refs/heads/å中"), "{said}");
}

#[tokio::test]
async fn deletions_carry_no_pack_and_spare_the_default_branch() {
    let (machine, commit, ..) = with_commit().await;
    let oid = commit.to_string();
    report(&machine, push(&[(ZERO, &oid, "refs/heads/tmp")], "", &Pack::default().finish())).await;
    let said = report(&machine, push(&[(&oid, ZERO, "refs/heads/tmp")], "delete-refs", &[])).await;
    assert!(said.contains("ok refs/heads/tmp"), "{said}");
    let said = report(&machine, push(&[(&oid, ZERO, "refs/heads/main")], "", &[])).await;
    assert!(said.contains("ng refs/heads/main"), "{said}");
    assert_eq!(refs(&machine).await, [("refs/heads/main".to_owned(), commit)]);
}

#[tokio::test]
async fn one_ref_twice_and_an_atomic_push_with_one_bad_ref_change_nothing() {
    let (machine, commit, ..) = with_commit().await;
    let before = refs(&machine).await;
    let (oid, empty) = (commit.to_string(), Pack::default().finish());
    let twice = [(ZERO, oid.as_str(), "refs/heads/x"), (oid.as_str(), ZERO, "refs/heads/x")];
    assert!(report(&machine, push(&twice, "", &empty)).await.matches("ng refs/heads/x").count() == 2);
    for bad in ["refs/heads/a..b", "refs/heads/main/x"] {
        let both = [(ZERO, oid.as_str(), "refs/heads/good"), (ZERO, oid.as_str(), bad)];
        let said = report(&machine, push(&both, "atomic", &empty)).await;
        assert!(said.contains("ng refs/heads/good") && said.contains(&format!("ng {bad}")), "{said}");
    }
    assert_eq!(refs(&machine).await, before);
}

#[tokio::test]
async fn requests_that_are_not_the_protocol_get_an_error_line() {
    let (machine, ..) = with_commit().await;
    let before = refs(&machine).await;
    for raw in ["0002", "0003", "0004", "ffff", "fff1", "zzzz", "-001", "0005", "0035shallow "] {
        for service in ["git-receive-pack", "git-upload-pack", "v2"] {
            let said = machine.post(service, raw.as_bytes().to_vec()).await;
            let said = String::from_utf8_lossy(&said).into_owned();
            assert!(said.contains("ERR ") || said.is_empty(), "{service} {raw}: {said}");
        }
    }
    for service in ["git-receive-pack", "git-upload-pack", "v2"] {
        assert!(machine.post(service, b"0000".to_vec()).await.is_empty(), "a probe is answered with nothing");
    }
    let shallow = packet(&format!("shallow {}", "1".repeat(40))) + "0000";
    assert!(machine.post("git-receive-pack", shallow.into_bytes()).await.is_empty());
    let name = "refs/heads/x";
    let many: Vec<_> = (0..100_001).map(|_| (ZERO, ZERO, name)).collect();
    assert!(report(&machine, push(&many, "", &[])).await.contains("ERR "));
    assert_eq!(refs(&machine).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_cut_anywhere_is_refused() {
    let (machine, commit, ..) = with_commit().await;
    let before = refs(&machine).await;
    let mut pack = Pack::default();
    let noise: String =
        (0..3000u32).map(|n| char::from(33 + (n.wrapping_mul(2_654_435_761) >> 24) as u8 % 90)).collect();
    let blob = pack.blob(&noise);
    let tree = pack.tree(&[("100644", b"b", blob)]);
    let next = pack.commit(tree, &[commit]).to_string();
    let (whole, old) = (pack.finish(), commit.to_string());
    for cut in (0..whole.len()).step_by(64) {
        let said = report(&machine, push(&[(&old, &next, "refs/heads/main")], "", &whole[..cut])).await;
        assert!(said.contains("unpack ") && !said.contains("unpack ok"), "cut at {cut}: {said}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(!report(&machine, push(&[(&old, &next, "refs/heads/main")], "", &longer)).await.contains("unpack ok"));
    assert_eq!(refs(&machine).await, before);
    assert!(
        report(&machine, push(&[(&old, &next, "refs/heads/main")], "", &whole)).await.contains("ok refs/heads/main")
    );
}

#[tokio::test]
async fn a_client_that_breaks_off_leaves_nothing() {
    let (machine, commit, ..) = with_commit().await;
    let before = (refs(&machine).await, machine.blobs.keys());
    let mut pack = Pack::default();
    pack.blob(&"x".repeat(10_000));
    let request = push(&[(ZERO, &commit.to_string(), "refs/heads/x")], "", &pack.finish());
    let half = Bytes::from(request[..request.len() / 2].to_vec());
    let gone = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = futures::stream::iter([Ok(half), Err(gone)]).boxed();
    let _ = machine.store.receive_pack(&machine.id, body, machine.policy.clone()).await;
    assert_eq!((refs(&machine).await, machine.blobs.keys()), before);
    let left = std::fs::read_dir(machine.path("cache/quarantine")).unwrap().count();
    assert_eq!(left, 0, "the quarantine is gone");
}

#[tokio::test]
async fn a_thin_pack_is_completed_from_its_own_repository_alone() {
    let (machine, commit, _, blob) = with_commit().await;
    let base = b"hello, this is a base of some length\n";
    let result = [base.as_slice(), b"more\n"].concat();
    let mut instructions = [varint(base.len() as u64), varint(result.len() as u64)].concat();
    instructions.extend([0x90, base.len() as u8, 5]);
    instructions.extend(b"more\n");
    let mut pack = Pack::default();
    pack.delta(blob, &instructions);
    let changed = hash("blob", &result);
    let tree = pack.tree(&[("100644", b"a", changed)]);
    let next = pack.commit(tree, &[commit]);
    let request = push(&[(&commit.to_string(), &next.to_string(), "refs/heads/main")], "", &pack.finish());
    assert!(report(&machine, request).await.contains("ok refs/heads/main"));
    machine.git(".", &["clone", "-q", &machine.url, "thin"]).await;
    assert_eq!(std::fs::read(machine.path("thin/a")).unwrap(), result);

    let other = Machine::start().await;
    let tree = pack.tree(&[]);
    let alone = pack.commit(tree, &[]).to_string();
    let said = report(&other, push(&[(ZERO, &alone, "refs/heads/main")], "", &pack.finish())).await;
    assert!(said.contains("base") && said.contains("missing") && said.contains("ng refs/heads/main"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pack_bombs_are_refused_before_they_take_memory() {
    let machine = Machine::start().await;
    let one = "1".repeat(40);
    let refuse = async |case: &str, pack: Vec<u8>| {
        let said = report(&machine, push(&[(ZERO, &one, "refs/heads/x")], "", &pack)).await;
        assert!(said.starts_with(|c: char| c.is_ascii_hexdigit()) && !said.contains("unpack ok"), "{case}: {said}");
    };
    refuse("object count", hex::decode("5041434b00000002ffffffff").unwrap()).await;
    let mut pack = Pack { count: 1, body: [head(3, 1 << 59), deflate(b"x")].concat() };
    refuse("declared size", pack.finish()).await;
    pack.body = vec![0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    refuse("declared size past 64 bits", pack.finish()).await;

    let mut cycle = Pack::default();
    let (a, b) = (Oid::from_bytes([1; 20]), Oid::from_bytes([2; 20]));
    cycle.delta(a, &[1, 1, 0x90, 1]);
    cycle.delta(b, &[1, 1, 0x90, 1]);
    refuse("deltas without end", cycle.finish()).await;

    let mut grow = Pack::default();
    let small = "a".repeat(65_536);
    let base = grow.blob(&small);
    let mut instructions = [varint(65_536), varint(65_536 * 4096)].concat();
    instructions.extend(std::iter::repeat_n(0x80, 4096));
    grow.delta(base, &instructions);
    refuse("delta result of 256 MiB", grow.finish()).await;

    let mut lie = Pack::default();
    lie.raw(3, 10, &[], &vec![0; 50_000_000]);
    refuse("more than declared", lie.finish()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_bomb_is_held_but_never_unfolded() {
    let cases = include_str!("treebomb.b64");
    let pack = base64::engine::general_purpose::STANDARD.decode(cases.trim()).unwrap();
    let machine = Machine::start().await;
    // The commit is the last object of the pack; its id is found by indexing with git.
    std::fs::create_dir_all(machine.path("bomb")).unwrap();
    machine.git("bomb", &["init", "-q"]).await;
    std::fs::write(machine.path("bomb/x.pack"), &pack).unwrap();
    machine.git("bomb", &["index-pack", "x.pack"]).await;
    let listed = machine.git("bomb", &["verify-pack", "-v", "x.idx"]).await;
    let commit = listed.lines().find(|line| line.contains(" commit ")).unwrap().split(' ').next().unwrap().to_owned();
    let said = report(&machine, push(&[(ZERO, &commit, "refs/heads/main")], "", &pack)).await;
    assert!(said.contains("ok refs/heads/main"), "{said}");
    let commit = Oid::parse(&commit).unwrap();
    assert!(!machine.store.tree(&machine.id, commit, None, None, 100).await.unwrap().entries.is_empty());
    let error = machine.store.checkout(&machine.id, commit, &machine.path("out")).await.unwrap_err();
    assert!(matches!(error, git_store::Error::TooLarge(_)), "{error}");
    machine.git(".", &["clone", "-q", "--no-checkout", &machine.url, "c"]).await;
}

#[tokio::test]
async fn hidden_refs_are_neither_shown_nor_fetched_nor_pushed() {
    let (machine, commit, ..) = with_commit().await;
    let name = RefName::parse("refs/internal/x").unwrap();
    let update = RefUpdate { name, old: None, new: Some(commit), push_id: "p".into() };
    assert!(machine.store.update_ref(&machine.id, update, &*machine.policy).await.is_err());
    // A commit that no visible ref leads to: pushed, then its branch removed.
    let mut pack = Pack::default();
    let tree = pack.tree(&[]);
    let lost = pack.commit(tree, &[]).to_string();
    report(&machine, push(&[(ZERO, &lost, "refs/heads/lost")], "", &pack.finish())).await;
    report(&machine, push(&[(&lost, ZERO, "refs/heads/lost")], "", &[])).await;
    let v0 = packet(&format!("want {lost} ofs-delta\n")) + "0000" + &packet("done\n");
    let v2 = packet("command=fetch\n") + "0001" + &packet(&format!("want {lost}\n")) + &packet("done\n") + "0000";
    for (service, body) in [("git-upload-pack", v0), ("v2", v2)] {
        let said = String::from_utf8_lossy(&machine.post(service, body.into_bytes()).await).into_owned();
        assert!(said.contains("ERR upload-pack: not our ref"), "{service}: {said}");
    }
    let lost = git_store::Revision::parse(&lost).unwrap();
    assert!(machine.store.resolve(&machine.id, &lost).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn odd_depths_and_unknown_filters_are_errors() {
    let (machine, commit, ..) = with_commit().await;
    for line in
        ["deepen 0", "deepen -1", "deepen x", "filter blob:nothing", "filter sparse:oid=x", "packfile-uris https"]
    {
        let body = packet("command=fetch\n") + "0001" + &packet(&format!("want {commit}\n")) + &packet(line) + "0000";
        let said = String::from_utf8_lossy(&machine.post("v2", body.into_bytes()).await).into_owned();
        assert!(said.contains("ERR "), "{line}: {said}");
    }
    let body = packet("command=fetch\n")
        + "0001"
        + &packet(&format!("want {commit}\n"))
        + &packet("deepen 2147483647")
        + &packet("done")
        + "0000";
    assert!(machine.post("v2", body.into_bytes()).await.windows(4).any(|w| w == b"PACK"));
}
