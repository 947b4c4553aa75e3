//! How much work small requests can cause: the worst that we know of, in seconds of the processor. Alone in its process,
//! whose clock of the processor is read; how long it takes by any other clock is never looked at.

#![allow(clippy::unwrap_used)]

#[path = "git/blobs.rs"]
#[allow(dead_code, reason = "shared with the tests of the store")]
mod blobs;
#[path = "git/machine.rs"]
#[allow(dead_code, reason = "as above")]
mod machine;
#[path = "git/raw.rs"]
#[allow(dead_code, reason = "as above")]
mod raw;

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use git_store::Oid;
use machine::Machine;
use raw::{Pack, ZERO, hash, head, packet, push, varint};

/// A request of at most this many bytes …
const REQUEST_MAX: usize = 1 << 20;
/// … costs at most this much of the processor (seconds), in a build that is optimized as the released one is.
const SECONDS_MAX: f64 = 5.0;
/// How much slower the same may be in a build for tests, where less is optimized and much is asserted.
const FOR_TESTS: f64 = 2.0;
/// Of the fields of `/proc/self/stat` in ticks (proc(5)): a hundred a second on Linux.
const TICKS: f64 = 100.0;

/// What the process has used of the processor (seconds), itself and for it.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS
}

/// The clock is the process's: one case at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Runs one request, whose cost is looked at; the answer is what was said.
async fn costs(machine: &Machine, case: &str, service: &str, body: Vec<u8>) -> String {
    assert!(body.len() <= REQUEST_MAX, "{case}: {} bytes", body.len());
    let before = used();
    let said = machine.post(service, body).await;
    let cost = used() - before;
    println!("{case}: {cost:.2} s");
    let most = if cfg!(debug_assertions) { SECONDS_MAX * FOR_TESTS } else { SECONDS_MAX };
    assert!(cost < most, "{case}: {cost:.2} s of the processor");
    String::from_utf8_lossy(&said[..said.len().min(2000)]).into_owned()
}

/// `n` times `bytes`, deflated without holding them.
fn deflated(bytes: &[u8], n: usize) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    (0..n).for_each(|_| encoder.write_all(bytes).unwrap());
    encoder.finish().unwrap()
}

fn entry(pack: &mut Pack, code: u8, size: u64, between: &[u8], deflated: &[u8]) {
    pack.count += 1;
    pack.body.extend(head(code, size));
    pack.body.extend_from_slice(between);
    pack.body.extend_from_slice(deflated);
}

/// A delta of `n` instructions that copy one byte each, deflated; and its size.
fn grains(base: u64, n: usize) -> (Vec<u8>, u64) {
    let sizes = [varint(base), varint(n as u64)].concat();
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&sizes).unwrap();
    let piece = [0x90, 1].repeat(1 << 16);
    (0..n >> 16).for_each(|_| encoder.write_all(&piece).unwrap());
    (encoder.finish().unwrap(), sizes.len() as u64 + 2 * n as u64)
}

/// Deltas that make many bytes out of one each, on a base of `size` zeros.
fn one_byte_at_a_time(size: usize, deltas: usize) -> Vec<u8> {
    let mut pack = Pack::default();
    let zeros = vec![0; size];
    let base = hash("blob", &zeros);
    entry(&mut pack, 3, size as u64, &[], &deflated(&zeros, 1));
    for n in 0..deltas {
        let (delta, length) = grains(size as u64, (24 + n) << 20);
        entry(&mut pack, 7, length, base.as_bytes(), &delta);
    }
    pack.finish()
}

/// Instructions that copy `n` bytes from `start`.
fn copy(start: u32, n: u32) -> Vec<u8> {
    [&[0xff][..], &start.to_le_bytes(), &n.to_le_bytes()[..3]].concat()
}

/// Objects of one base, each with one line or entry of its own at the end.
fn variants(kind: &str, base: &[u8], tail: impl Fn(u32) -> Vec<u8>, n: u32) -> Vec<u8> {
    let mut pack = Pack::default();
    let oid = pack.object(kind, base);
    for n in 0..n {
        let tail = tail(n);
        let mut delta = [varint(base.len() as u64), varint((base.len() + tail.len()) as u64)].concat();
        delta.extend(copy(0, base.len() as u32));
        delta.push(tail.len() as u8);
        delta.extend(tail);
        pack.delta(oid, &delta);
    }
    pack.finish()
}

fn large_tree(entries: u32) -> Vec<u8> {
    let blob = hash("blob", b"");
    let one = |n: u32| [format!("100644 {n:06}~\0").as_bytes(), blob.as_bytes()].concat();
    (0..entries).flat_map(one).collect()
}

fn commit_with_parents(parents: usize) -> Vec<u8> {
    let (tree, parent) = (hash("tree", b""), hash("blob", b"x"));
    let who = raw::PERSON;
    let parents = format!("parent {parent}\n").repeat(parents);
    format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n").into_bytes()
}

/// A `.gitmodules` whose one name is as long as a file may be, and that says something of it in each line.
fn module_of_a_long_name() -> Vec<u8> {
    let half = 4 << 20;
    let lines = "a\n".repeat(half / 2 - 100);
    let text = format!("[submodule \"{}\"]\n{lines}", "n".repeat(half));
    let mut pack = Pack::default();
    let oid = pack.blob(&text);
    let tree = pack.tree(&[("100644", b".gitmodules", oid)]);
    pack.commit(tree, &[]);
    pack.finish()
}

fn small_objects() -> Vec<u8> {
    let mut pack = Pack::default();
    for n in 0..60_000_u32 {
        pack.object("blob", &n.to_be_bytes()[1..]);
    }
    pack.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_small_push_keeps_the_processor_for_long() {
    let _alone = ALONE.lock().await;
    let machine = Machine::start().await;
    let one = "1".repeat(40);
    for (case, pack, why) in [
        ("one byte at a time out of memory", one_byte_at_a_time(1 << 20, 8), "inflates to far more"),
        ("one byte at a time out of a file", one_byte_at_a_time(5 << 20, 8), "inflates to far more"),
        ("trees", variants("tree", &large_tree(30_000), large_tree_tail, 4000), "inflates to far more"),
        ("commits", variants("commit", &commit_with_parents(20_000), |n| format!("{n}").into(), 4000), "inflates"),
        ("blobs", variants("blob", &vec![7; 1 << 20], |n| n.to_le_bytes().to_vec(), 4000), "inflates to far more"),
        ("a .gitmodules of one long name", module_of_a_long_name(), ""),
        ("60,000 small objects", small_objects(), ""),
    ] {
        let said = costs(&machine, case, "git-receive-pack", push(&[(ZERO, &one, "refs/heads/x")], "", &pack)).await;
        assert!(said.contains("ng refs/heads/x") && said.contains(why), "{case}: {said}");
    }
}

fn large_tree_tail(n: u32) -> Vec<u8> {
    [format!("100644 z{n:06}\0").as_bytes(), hash("blob", b"").as_bytes()].concat()
}

/// Branches, and commits of each of the two histories that they are moved between.
const BRANCHES: usize = 6_000;
const COMMITS: usize = 10_000;

struct Wide {
    machine: Machine,
    /// From the first to the last.
    histories: [Vec<Oid>; 2],
}

/// Two histories that have nothing to do with each other, and many branches at the end of the first.
async fn wide() -> Wide {
    let machine = Machine::start().await;
    let mut pack = Pack::default();
    let tree = pack.tree(&[]);
    let mut histories = [Vec::new(), Vec::new()];
    for (which, history) in histories.iter_mut().enumerate() {
        for n in 0..COMMITS {
            let parent = history.last().map(|oid| format!("parent {oid}\n")).unwrap_or_default();
            let who = format!("A Person <person@example.com> {} +0000", 1_600_000_000 + n);
            let text = format!("tree {tree}\n{parent}author {who}\ncommitter {who}\n\n{which}\n");
            history.push(pack.object("commit", text.as_bytes()));
        }
    }
    let ends: Vec<String> = histories.iter().map(|history| history[COMMITS - 1].to_string()).collect();
    let names: Vec<String> = (0..BRANCHES).map(|n| format!("refs/heads/b/{n:05}")).collect();
    let mut commands: Vec<_> = names.iter().map(|name| (ZERO, ends[0].as_str(), name.as_str())).collect();
    commands.push((ZERO, &ends[1], "refs/heads/other"));
    let said = machine.post("git-receive-pack", push(&commands, "", &pack.finish())).await;
    assert!(String::from_utf8_lossy(&said).contains("ok refs/heads/other"));
    Wide { machine, histories }
}

fn fetch(lines: impl Iterator<Item = String>) -> Vec<u8> {
    let lines: String = lines.map(|line| packet(&format!("{line}\n"))).collect();
    (packet("command=fetch\n") + "0001" + &lines + "0000").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_small_request_of_a_wide_repository_keeps_the_processor_for_long() {
    let _alone = ALONE.lock().await;
    let Wide { machine, histories: [first, second] } = wide().await;
    let names: Vec<String> = (0..BRANCHES).map(|n| format!("refs/heads/b/{n:05}")).collect();
    let news: Vec<String> = second[COMMITS - BRANCHES..].iter().map(Oid::to_string).collect();
    let old = first[COMMITS - 1].to_string();
    let moves: Vec<_> = names.iter().zip(&news).map(|(name, new)| (&*old, &**new, &**name)).collect();
    let empty = Pack::default().finish();
    let said = costs(&machine, "6,000 rewinds", "git-receive-pack", push(&moves, "atomic", &empty)).await;
    assert!(said.contains("unpack ok"), "{said}");

    let prefixes: String = (0..38_000).map(|n| packet(&format!("ref-prefix refs/x{n}\n"))).collect();
    let listing = packet("command=ls-refs\n") + "0001" + &prefixes + "0000";
    assert_eq!(costs(&machine, "38,000 prefixes", "v2", listing.into_bytes()).await, "0000");

    let wants = || second[COMMITS - 64..].iter().map(|oid| format!("want {oid}"));
    let haves = |of: &[Oid]| of.iter().map(|oid| format!("have {oid}")).collect::<Vec<_>>().into_iter();
    let said = costs(&machine, "64 wants, 10,000 haves", "v2", fetch(wants().chain(haves(&first)))).await;
    assert!(said.contains("ACK") && !said.contains("ready"), "{said}");
    let said = costs(&machine, "64 wants that are reached late", "v2", fetch(wants().chain(haves(&second[..1])))).await;
    assert!(said.contains("ACK"), "{said}");
    let absent = (0..18_000_u32).map(|n| format!("have {n:040x}"));
    let said = costs(&machine, "18,000 haves of a stranger", "v2", fetch(wants().chain(absent))).await;
    assert!(said.contains("NAK"), "{said}");

    let names = (0..BRANCHES).map(|n| format!("want-ref refs/heads/b/{n:05}"));
    costs(&machine, "6,000 wanted refs", "v2", fetch(names.chain(["done".into()]))).await;
    let by_id = second.iter().cycle().take(18_000).map(|oid| packet(&format!("oid {oid}\n")));
    let asked: String =
        [packet("command=object-info\n"), "0001".into(), packet("size\n")].into_iter().chain(by_id).collect();
    let said = costs(&machine, "18,000 sizes", "v2", (asked + "0000").into_bytes()).await;
    assert!(said.contains("size"), "{said}");
    let not = (0..20_000).map(|n| format!("deepen-not refs/heads/b/{:05}", n % BRANCHES));
    let said = costs(&machine, "20,000 places to end at", "v2", fetch(wants().chain(not).chain(["done".into()]))).await;
    assert!(said.contains("no commits selected"), "{said}");
    let cut = first.iter().chain(&second).take(15_000).map(|oid| format!("shallow {oid}"));
    let said =
        costs(&machine, "15,000 cuts", "v2", fetch(wants().chain(cut).chain(["deepen 9".into(), "done".into()]))).await;
    assert!(said.contains("shallow"), "{said}");
    for filter in ["tree:1", "blob:limit=1g", "combine:tree:4+blob:none"] {
        let all = wants().chain([format!("filter {filter}"), "done".into()]);
        assert!(costs(&machine, filter, "v2", fetch(all)).await.contains("PACK"));
    }
    let all = second.iter().cycle().take(18_000).map(|oid| format!("want {oid}"));
    assert!(costs(&machine, "18,000 wants by id", "v2", fetch(all.chain(["done".into()]))).await.contains("PACK"));
}
