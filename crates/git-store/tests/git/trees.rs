//! Objects that `git fsck --strict` calls errors, pushed; and odd ones that it allows.

use git_store::Oid;

use crate::machine::Machine;
use crate::raw::{PERSON, Pack, ZERO, push};

type Build = fn(&mut Pack) -> Oid;

fn named(pack: &mut Pack, mode: &str, name: &[u8]) -> Oid {
    let blob = pack.blob("x");
    let oid = if mode == "40000" { pack.tree(&[("100644", b"x", blob)]) } else { blob };
    let tree = pack.tree(&[(mode, name, oid)]);
    pack.commit(tree, &[])
}

fn modules(pack: &mut Pack, text: &str) -> Oid {
    let blob = pack.blob(text);
    let tree = pack.tree(&[("100644", b".gitmodules", blob)]);
    pack.commit(tree, &[])
}

fn raw_commit(pack: &mut Pack, with: impl FnOnce(Oid) -> Vec<u8>) -> Oid {
    let tree = pack.tree(&[]);
    pack.object("commit", &with(tree))
}

const REFUSED: &[(&str, Build)] = &[
    ("dotgit", |p| named(p, "40000", b".git")),
    ("dotGIT", |p| named(p, "100644", b".GIT")),
    ("dotGiT", |p| named(p, "100644", b".GiT")),
    ("ntfs stream", |p| named(p, "40000", b".git::$INDEX_ALLOCATION")),
    ("zwj", |p| named(p, "40000", ".g\u{200d}it".as_bytes())),
    ("bom", |p| named(p, "40000", "\u{feff}.git".as_bytes())),
    ("short name", |p| named(p, "40000", b"GIT~1")),
    ("dotdot", |p| named(p, "40000", b"..")),
    ("dot", |p| named(p, "40000", b".")),
    ("absolute", |p| named(p, "100644", b"/etc/passwd")),
    ("dotdot slash", |p| named(p, "100644", b"../x")),
    ("long name", |p| named(p, "100644", &[b'a'; 4096])),
    ("dotGIT folder", |p| named(p, "40000", b".GIT")),
    ("empty name", |p| named(p, "100644", b"")),
    ("padded mode", |p| named(p, "0100644", b"a")),
    ("unknown mode", |p| named(p, "60000", b"a")),
    ("file and folder", |p| {
        let blob = p.blob("x");
        let tree = p.tree(&[("100644", b"x", blob)]);
        let tree = p.tree(&[("100644", b"a", blob), ("40000", b"a", tree)]);
        p.commit(tree, &[])
    }),
    ("unsorted", |p| {
        let blob = p.blob("x");
        let tree = p.tree(&[("100644", b"b", blob), ("100644", b"a", blob)]);
        p.commit(tree, &[])
    }),
    ("null id", |p| {
        let tree = p.tree(&[("100644", b"a", Oid::ZERO)]);
        p.commit(tree, &[])
    }),
    ("missing blob", |p| {
        let tree = p.tree(&[("100644", b"a", Oid::from_bytes([9; 20]))]);
        p.commit(tree, &[])
    }),
    ("missing tree", |p| p.commit(Oid::from_bytes([9; 20]), &[])),
    ("missing parent", |p| {
        let tree = p.tree(&[]);
        p.commit(tree, &[Oid::from_bytes([9; 20])])
    }),
    ("a blob as tree", |p| {
        let blob = p.blob("x");
        p.commit(blob, &[])
    }),
    ("cut tree", |p| {
        let tree = p.object("tree", b"100644 a\0short");
        p.commit(tree, &[])
    }),
    ("modules symlink", |p| named(p, "120000", b".gitmodules")),
    ("modules name", |p| modules(p, "[submodule \"../../x\"]\n\tpath = x\n\turl = https://x/y\n")),
    ("modules url dash", |p| modules(p, "[submodule \"x\"]\n\turl = -u./payload\n")),
    ("modules url newline", |p| modules(p, "[submodule \"x\"]\n\turl = \"https://x/\\nhost=evil\"\n")),
    ("commit nul", |p| {
        raw_commit(p, |tree| format!("tree {tree}\nauthor {PERSON}\ncommitter {PERSON}\n\na\0b\n").into_bytes())
    }),
    ("date overflow", |p| {
        raw_commit(p, |tree| {
            let late = "A <a@x> 18446744073709551615 +0000";
            format!("tree {tree}\nauthor {late}\ncommitter {PERSON}\n\nm\n").into_bytes()
        })
    }),
    ("no author", |p| raw_commit(p, |tree| format!("tree {tree}\ncommitter {PERSON}\n\nm\n").into_bytes())),
    ("the same object twice", |p| {
        p.blob("x");
        named(p, "100644", b"a")
    }),
];

const ALLOWED: &[(&str, Build)] = &[
    ("con", |p| named(p, "100644", b"con")),
    ("aux", |p| named(p, "100644", b"aux.txt")),
    ("colon", |p| named(p, "100644", b"a:b")),
    ("tab", |p| named(p, "100644", b"a\tb")),
    ("trailing space", |p| named(p, "100644", b"a ")),
    ("leading dash", |p| named(p, "100644", b"-rf")),
    ("absolute symlink", |p| named(p, "120000", b"l")),
    ("submodule", |p| {
        let tree = p.tree(&[("160000", b"sub", Oid::from_bytes([7; 20]))]);
        p.commit(tree, &[])
    }),
    ("modules", |p| modules(p, "[submodule \"x\"]\n\tpath = x\n\turl = https://example.com/x.git\n")),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_fsck_calls_an_error_is_refused_and_moves_no_ref() {
    let machine = Machine::start().await;
    for (case, build) in REFUSED {
        let mut pack = Pack::default();
        let oid = build(&mut pack).to_string();
        let request = push(&[(ZERO, &oid, "refs/heads/main")], "", &pack.finish());
        let report = String::from_utf8_lossy(&machine.post("git-receive-pack", request).await).into_owned();
        // Of what is missing the report speaks ref by ref, as git does.
        let unpacked = report.contains("unpack ok") && !case.starts_with("missing");
        assert!(!unpacked && report.contains("ng refs/heads/main"), "{case}: {report}");
        assert!(machine.store.refs(&machine.id).await.unwrap().is_empty(), "{case}");
    }
    assert!(machine.blobs.keys().is_empty(), "nothing is stored of what is refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_names_come_back_as_they_went() {
    let machine = Machine::start().await;
    for (at, (case, build)) in ALLOWED.iter().enumerate() {
        let mut pack = Pack::default();
        let oid = build(&mut pack);
        let name = format!("refs/heads/b{at}");
        let request = push(&[(ZERO, &oid.to_string(), &name)], "", &pack.finish());
        let report = String::from_utf8_lossy(&machine.post("git-receive-pack", request).await).into_owned();
        assert!(report.contains(&format!("ok {name}")), "{case}: {report}");
        assert_eq!(machine.store.tree(&machine.id, oid, None, None, 10).await.unwrap().entries.len(), 1, "{case}");
    }
    machine.git(".", &["clone", "-q", "--no-checkout", &machine.url, "clone"]).await;
    machine.git("clone", &["fsck", "--full"]).await;
    let names = machine.git("clone", &["ls-tree", "-z", "--name-only", "origin/b3"]).await;
    assert_eq!(names.trim_end_matches('\0'), "a\tb");
}
