//! Objects good and bad, judged by `git fsck --strict` and by the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use git_store::Oid;

use crate::machine::Machine;
use crate::raw::{PERSON, Pack, ZERO, deflate, hash, push};

/// What git tells of but does not call an error, and the store refuses: an entry of a type that no client can write.
const STRICTER: [&str; 1] = ["badFilemode"];
/// Of what it cannot even parse git gives no message id.
const UNPARSABLE: &str = "unparsable";
/// Mutated objects of each kind.
const MUTATIONS: u64 = 150;

type Object = (&'static str, Vec<u8>);

/// Numbers that look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn entry(mode: &str, name: &[u8], oid: Oid) -> Vec<u8> {
    [mode.as_bytes(), b" ", name, b"\0", oid.as_bytes()].concat()
}

fn idents() -> Vec<String> {
    let names = ["A <a@x>", "<a@x>", "A<a@x>", "A a@x", "A >a@x>", "A <a@x", "A <a<x>", " <>", "A <a@x> B <b>"];
    let dates = [
        " 1 +0000",
        " 0 +0000",
        " 00 +0000",
        " 01 +0000",
        "  1 +0000",
        " \t1 +0000",
        "1 +0000",
        " x +0000",
        " -1 +0000",
        " 1+0000",
        " 1  +0000",
        " 1 0000",
        " 1 +000",
        " 1 +00000",
        " 1 +0x00",
        " 1",
        "",
        " 9223372036854775807 +0000",
        " 9223372036854775808 +0000",
        " 18446744073709551616 +0000",
    ];
    let plain = names.iter().map(|name| format!("{name} 1 +0000"));
    plain.chain(dates.iter().map(|date| format!("A <a@x>{date}"))).collect()
}

fn commits(tree: Oid) -> Vec<Object> {
    let mut all = Vec::new();
    for who in idents() {
        all.push(format!("tree {tree}\nauthor {who}\ncommitter {PERSON}\n\nm\n"));
        all.push(format!("tree {tree}\nauthor {PERSON}\ncommitter {who}\n\nm\n"));
    }
    for text in [
        format!("tree {tree}\nauthor {PERSON}\nauthor {PERSON}\ncommitter {PERSON}\n\nm\n"),
        format!("tree {tree}\ncommitter {PERSON}\n\nm\n"),
        format!("tree {tree}\nauthor {PERSON}\n\nm\n"),
        format!("tree {tree}\nauthor {PERSON}\ncommitter {PERSON}\n"),
        format!("tree {tree}\nauthor {PERSON}\ncommitter {PERSON}"),
        format!("tree {tree}\nauthor {PERSON}\ncommitter {PERSON}\n\na\0b\n"),
        format!("tree {tree}\nauthor A\0 <a@x> 1 +0000\ncommitter {PERSON}\n\nm\n"),
        format!("tree {tree}\nparent x\nauthor {PERSON}\ncommitter {PERSON}\n\nm\n"),
        format!("tree {}\nauthor {PERSON}\ncommitter {PERSON}\n\nm\n", "x".repeat(40)),
        format!("tree {tree} \nauthor {PERSON}\ncommitter {PERSON}\n\nm\n"),
        format!("author {PERSON}\ncommitter {PERSON}\n\nm\n"),
        format!("tree {tree}\nauthor {PERSON}\ncommitter {PERSON}\nencoding x\ngpgsig y\n z\n\nm\n"),
        "\n\n".to_owned(),
    ] {
        all.push(text);
    }
    all.into_iter().map(|text| ("commit", text.into_bytes())).collect()
}

fn tags(target: Oid) -> Vec<Object> {
    let who = idents().into_iter().map(|who| format!("object {target}\ntype tree\ntag v1\ntagger {who}\n\nm\n"));
    let others = [
        format!("object {target}\ntype tree\ntag v1\n\nm\n"),
        format!("object {target}\ntype tree\ntag v1\ntagger {PERSON}\nextra x\n\nm\n"),
        format!("object {target}\ntype tree\ntag ..\ntagger {PERSON}\n\nm\n"),
        format!("object {target}\ntype tree\n\nm\n"),
        format!("object {target}\ntype x\ntag v1\ntagger {PERSON}\n\nm\n"),
        format!("object {target}\ntag v1\ntagger {PERSON}\n\nm\n"),
        format!("object x\ntype tree\ntag v1\ntagger {PERSON}\n\nm\n"),
        format!("type tree\ntag v1\ntagger {PERSON}\n\nm\n"),
        format!("object {target}\ntype tree\ntag v1\ntagger {PERSON}"),
    ];
    who.chain(others).map(|text| ("tag", text.into_bytes())).collect()
}

fn trees(blob: Oid, empty: Oid) -> Vec<Object> {
    let names: [&[u8]; 30] = [
        b"a",
        b".",
        b"..",
        b".git",
        b".GIT",
        b".git ",
        b".git...",
        b"git~1",
        b"GIT~1",
        b"git~2",
        b".gi\xe2\x80\x8ct",
        b"a/b",
        b"a\\.git",
        b"a\\b",
        b".gitmodules",
        b".GITMODULES",
        b"gitmod~1",
        b"gi7eba~1",
        b"a\\.gitmodules",
        b".gitattributes",
        b"gitatt~1",
        b".gitignore",
        b".mailmap",
        b"\xff\xfe",
        b"con",
        b"a:b",
        b".git:x",
        b".git\\x",
        b"...",
        b".gitx",
    ];
    let mut all = Vec::new();
    for name in names {
        for (mode, oid) in [("100644", blob), ("40000", empty), ("120000", blob)] {
            all.push(entry(mode, name, oid));
        }
    }
    for mode in ["0100644", "100755", "100664", "100600", "60000", "644", "040000", "160000"] {
        all.push(entry(mode, b"a", if mode == "040000" { empty } else { blob }));
    }
    let pairs: [(&[u8], &[u8]); 5] = [(b"a", b"a"), (b"b", b"a"), (b"a", b"b"), (b"a-", b"a"), (b"a.", b"a0")];
    for (one, two) in pairs {
        all.push([entry("100644", one, blob), entry("100644", two, blob)].concat());
        all.push([entry("100644", one, blob), entry("40000", two, empty)].concat());
        all.push([entry("40000", one, empty), entry("100644", two, blob)].concat());
    }
    all.push([entry("100644", b"a", blob), entry("100644", b"a-", blob), entry("40000", b"a", empty)].concat());
    all.push(entry("100644", b"a", Oid::ZERO));
    all.push(b"100644 a\0short".to_vec());
    all.push(b"x".to_vec());
    all.into_iter().map(|bytes| ("tree", bytes)).collect()
}

const MODULES: [&str; 26] = [
    "[submodule \"x\"]\n\turl = https://example.com/x.git\n\tpath = x\n",
    "[submodule \"../x\"]\n\turl = y\n",
    "[submodule \"a/../b\"]\n\turl = y\n",
    "[submodule \"a\\\\..\\\\b\"]\n\turl = y\n",
    "[submodule \"\"]\n\turl = y\n",
    "[submodule \"../x\"]\n",
    "[submodule...]\n\turl = y\n",
    "[submodule.a]\n\turl = -y\n",
    "[submodule \"x\"] url = -y\n",
    "[submodule \"x\"]\n\turl = -y\n",
    "[submodule \"x\"]\n\turl = \"https://x/\\nhost=y\"\n",
    "[submodule \"x\"]\n\turl = https://x/%0ahost=y\n",
    "[submodule \"x\"]\n\turl = ../../%0ahost=y\n",
    "[submodule \"x\"]\n\turl = git://x/%0a\n",
    "[submodule \"x\"]\n\turl = https:///x\n",
    "[submodule \"x\"]\n\turl = https://:80/x\n",
    "[submodule \"x\"]\n\turl = https://x:port/\n",
    "[submodule \"x\"]\n\turl = http::-x\n",
    "[submodule \"x\"]\n\turl = ../:x\n",
    "[submodule \"x\"]\n\turl = ./..:x\n",
    "[submodule \"x\"]\n\turl = ssh://x/y\n",
    "[submodule \"x\"]\n\tpath = -x\n",
    "[submodule \"x\"]\n\tupdate = !touch x\n",
    "[submodule \"x\"]\n\tupdate = checkout\n",
    "[submodule \"x\"\n\turl = -y\n",
    "[submodule \"x\"]\n\tpath\n\t; c\n\turl = \\\n-y\n",
];

fn mutated(good: &[Object], numbers: &mut Numbers) -> Vec<Object> {
    let mut all = Vec::new();
    for (kind, bytes) in good {
        for _ in 0..MUTATIONS {
            let mut bytes = bytes.clone();
            let at = numbers.below(bytes.len());
            match numbers.below(4) {
                0 => bytes[at] = b" \n\0<>019-+/."[numbers.below(12)],
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b" \n\0<>019-+/."[numbers.below(12)]),
                _ => bytes.truncate(at),
            }
            all.push((*kind, bytes));
        }
    }
    all
}

fn store_loose(folder: &Path, kind: &str, bytes: &[u8]) -> Oid {
    let oid = hash(kind, bytes);
    let name = oid.to_string();
    let folder = folder.join(".git/objects").join(&name[..2]);
    std::fs::create_dir_all(&folder).unwrap();
    let whole = [format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat();
    std::fs::write(folder.join(&name[2..]), deflate(&whole)).unwrap();
    oid
}

/// The errors of `git fsck --strict`, by object.
async fn judged_by_git(machine: &Machine, at: &str) -> BTreeMap<String, BTreeSet<String>> {
    let output = machine.try_git(at, &["fsck", "--strict", "--no-dangling", "--no-progress"]).await;
    let said = [output.stdout, output.stderr].concat();
    let mut errors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&said).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        // `error in commit ID: MESSAGE-ID: …`, or `error: ID: object could not be parsed: …`.
        let (oid, id) = match words.as_slice() {
            ["error", "in", _, oid, id, ..] => (oid, id.trim_end_matches(':')),
            ["error:", oid, "object", "could", "not", "be", "parsed:", ..] => (oid, UNPARSABLE),
            _ => continue,
        };
        errors.entry(oid.trim_end_matches(':').into()).or_default().insert(id.into());
    }
    errors
}

/// The message id with which the store refuses an object.
async fn judged_by_us(machine: &Machine, object: &Object, friends: &[Object]) -> Option<String> {
    let mut pack = Pack::default();
    for (kind, bytes) in friends {
        pack.object(kind, bytes);
    }
    if !friends.contains(object) {
        pack.object(object.0, &object.1);
    }
    let oid = hash(object.0, &object.1).to_string();
    let name = format!("refs/tags/t{oid}");
    let request = push(&[(ZERO, &oid, &name)], "", &pack.finish());
    let report = String::from_utf8_lossy(&machine.post("git-receive-pack", request).await).into_owned();
    if report.contains(&format!("ok {name}")) {
        return None;
    }
    let reason = report.split("unpack object ").nth(1).and_then(|rest| rest.split(": ").nth(1));
    Some(reason.unwrap_or("disconnected").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_judged_as_git_fsck_judges_them() {
    let machine = Machine::start().await;
    machine.git("judge", &["init", "-q"]).await;
    let folder = machine.path("judge");
    let (blob, empty): (Object, Object) = (("blob", b"x".to_vec()), ("tree", Vec::new()));
    let friends = vec![blob.clone(), empty.clone()];
    let (blob, empty) = (store_loose(&folder, "blob", &blob.1), store_loose(&folder, "tree", &empty.1));
    let shared = friends.clone();
    let mut cases: Vec<(Object, Vec<Object>)> = Vec::new();
    let good_commit = format!("tree {empty}\nauthor {PERSON}\ncommitter {PERSON}\n\nm\n").into_bytes();
    let good_tag = format!("object {empty}\ntype tree\ntag v1\ntagger {PERSON}\n\nm\n").into_bytes();
    // The ids in them are left alone, so that what is wrong is the object and not what it names.
    let good = [("commit", good_commit), ("tag", good_tag)];
    let objects = [commits(empty), tags(empty), trees(blob, empty), mutated(&good, &mut Numbers(7))].concat();
    cases.extend(objects.into_iter().map(|object| (object, friends.clone())));
    for text in MODULES {
        let modules = ("blob", text.as_bytes().to_vec());
        let tree = ("tree", entry("100644", b".gitmodules", hash("blob", text.as_bytes())));
        cases.push((tree, [friends.clone(), vec![modules]].concat()));
    }
    for (object, friends) in &cases {
        for (kind, bytes) in friends.iter().chain([object]) {
            store_loose(&folder, kind, bytes);
        }
    }
    let by_git = judged_by_git(&machine, "judge").await;
    let mut differences = Vec::new();
    let mut refused = 0;
    for (object, friends) in &cases {
        let named = |object: &Object| by_git.get(&hash(object.0, &object.1).to_string());
        let own = friends.iter().filter(|friend| !shared.contains(friend)).chain([object]);
        let git: BTreeSet<String> = own.filter_map(named).flatten().cloned().collect();
        let us = judged_by_us(&machine, object, friends).await;
        refused += usize::from(us.is_some());
        let same = match &us {
            None => git.is_empty(),
            // A changed id names what is nowhere; git tells of that apart.
            Some(reason) if reason == "disconnected" => true,
            // Git tells of the tree that lies where a file should, not of the tree that names it.
            Some(reason) if reason.ends_with("Blob") => by_git.values().any(|ids| ids.contains(reason)),
            Some(_) if git.contains(UNPARSABLE) => true,
            Some(reason) => git.contains(reason) || STRICTER.contains(&reason.as_str()),
        };
        if !same {
            let shown = String::from_utf8_lossy(&object.1).into_owned();
            differences.push(format!("{} {shown:?} with {}: git {git:?}, store {us:?}", object.0, friends.len()));
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), cases.len(), differences.join("\n"));
    assert!(refused > 250 && refused < cases.len() - 50, "{refused} of {} refused", cases.len());
}
