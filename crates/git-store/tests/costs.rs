//! What small requests may cost. Alone in its process, whose memory is looked at.

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

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use futures::TryStreamExt;
use git_store::Oid;
use git_store::http::{Protocol, decode_body};
use machine::Machine;
use raw::{Pack, ZERO, hash, head, packet, push, varint};
use sha1::{Digest, Sha1};

/// A request of at most this many bytes …
const REQUEST_MAX: usize = 1 << 20;
/// … makes the process grow by at most this much.
const GROWTH_MAX_KIB: u64 = 128 * 1024;
const LARGE: u64 = 60 << 20;

/// `n` zeros, deflated without holding them.
fn deflated_zeros(n: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let piece = vec![0; 1 << 20];
    for _ in 0..n >> 20 {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

fn id_of_zeros(n: u64) -> Oid {
    let mut hash = Sha1::new_with_prefix(format!("blob {n}\0"));
    let piece = vec![0; 1 << 20];
    (0..n >> 20).for_each(|_| hash.update(&piece));
    Oid::from_bytes(hash.finalize().into())
}

/// Instructions that copy the first `n` bytes of a base of `base` bytes, and insert `tail`.
fn copy_all(base: u64, n: u64, tail: &[u8]) -> Vec<u8> {
    let mut out = [varint(base), varint(n + tail.len() as u64)].concat();
    let mut at = 0;
    while at < n {
        let length = (n - at).min(0xff_ffff) as u32;
        out.push(0xff);
        out.extend_from_slice(&(at as u32).to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes()[..3]);
        at += u64::from(length);
    }
    if !tail.is_empty() {
        out.push(tail.len() as u8);
        out.extend_from_slice(tail);
    }
    out
}

fn grown_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs one request, whose cost is looked at; the answer is what was said.
async fn costs(machine: &Machine, case: &str, service: &str, body: Vec<u8>) -> String {
    assert!(body.len() <= REQUEST_MAX, "{case}: {} bytes", body.len());
    // Resets the peak to what is in use now (proc(5), clear_refs).
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = grown_kib();
    let said = machine.post(service, body).await;
    let growth = grown_kib().saturating_sub(before);
    println!("{case}: {growth} KiB");
    assert!(growth < GROWTH_MAX_KIB, "{case}: the process grew by {growth} KiB");
    String::from_utf8_lossy(&said[..said.len().min(2000)]).into_owned()
}

fn blob_bombs() -> Vec<u8> {
    let mut pack = Pack::default();
    let bomb = deflated_zeros(100 << 20);
    for _ in 0..9 {
        pack.count += 1;
        pack.body.extend(head(3, 100 << 20));
        pack.body.extend(&bomb);
    }
    pack.finish()
}

fn growing_deltas() -> Vec<u8> {
    let mut pack = Pack::default();
    let mut base = pack.blob(&"a".repeat(65_536));
    let mut size = 65_536u64;
    let mut content = "a".repeat(65_536);
    while size < 90 << 20 {
        let mut instructions = [varint(size), varint(size * 2)].concat();
        for _ in 0..2 {
            instructions.extend(&copy_all(size, size, &[])[varint(size).len() * 2..]);
        }
        pack.delta(base, &instructions);
        content = content.repeat(2);
        size *= 2;
        base = hash("blob", content.as_bytes());
    }
    pack.finish()
}

fn many_of_one_base() -> Vec<u8> {
    let mut pack = Pack::default();
    let base = "b".repeat(1 << 20);
    let oid = pack.blob(&base);
    for n in 0..5000u32 {
        pack.delta(oid, &copy_all(1 << 20, 1 << 20, &n.to_le_bytes()));
    }
    pack.finish()
}

fn tiny_objects() -> Vec<u8> {
    let mut pack = Pack::default();
    for n in 0..40_000u32 {
        pack.object("blob", &n.to_le_bytes());
    }
    pack.finish()
}

#[tokio::test]
async fn small_requests_cost_little() {
    let machine = Machine::start().await;
    let mut setup = Pack::default();
    setup.count += 1;
    setup.body.extend(head(3, LARGE));
    setup.body.extend(deflated_zeros(LARGE));
    let large = id_of_zeros(LARGE);
    let tree = setup.tree(&[("100644", b"large.bin", large)]);
    let commit = setup.commit(tree, &[]);
    let old = commit.to_string();
    let said = costs(
        &machine,
        "a large file",
        "git-receive-pack",
        push(&[(ZERO, &old, "refs/heads/main")], "", &setup.finish()),
    )
    .await;
    assert!(said.contains("ok refs/heads/main"), "{said}");

    // The same file with a line more, as git sends it: a small delta on what is here already.
    let mut thin = Pack::default();
    thin.delta(large, &copy_all(LARGE, LARGE, b"more\n"));
    let mut digest = Sha1::new_with_prefix(format!("blob {}\0", LARGE + 5));
    (0..LARGE >> 20).for_each(|_| digest.update(vec![0; 1 << 20]));
    digest.update(b"more\n");
    let tree = thin.tree(&[("100644", b"large.bin", Oid::from_bytes(digest.finalize().into()))]);
    let next = thin.commit(tree, &[commit]).to_string();
    let request = push(&[(&old, &next, "refs/heads/main")], "", &thin.finish());
    let said = costs(&machine, "a small change of a large file", "git-receive-pack", request).await;
    assert!(said.contains("ok refs/heads/main"), "{said}");

    let refs = machine.store.refs(&machine.id).await.unwrap();
    let one = "1".repeat(40);
    for (case, pack) in [
        ("nine blobs of 100 MiB", blob_bombs()),
        ("deltas that double", growing_deltas()),
        ("5,000 deltas on 1 MiB", many_of_one_base()),
        ("40,000 objects", tiny_objects()),
    ] {
        let said = costs(&machine, case, "git-receive-pack", push(&[(ZERO, &one, "refs/heads/x")], "", &pack)).await;
        assert!(said.contains("ng refs/heads/x"), "{case}: {said}");
    }
    let commands: Vec<_> = (0..8000).map(|n| format!("refs/heads/{n}")).collect();
    let commands: Vec<_> = commands.iter().map(|name| (ZERO, next.as_str(), name.as_str())).collect();
    let said = costs(&machine, "8,000 refs", "git-receive-pack", push(&commands, "atomic", &[])).await;
    assert!(!said.contains("unpack ok"), "a pack is missing: {said}");
    let haves: String = (0..18_000u32).map(|n| packet(&format!("have {n:040x}\n"))).collect();
    let fetch = packet("command=fetch\n") + "0001" + &packet(&format!("want {next}\n")) + &haves + "0000";
    let said = costs(&machine, "18,000 haves", "v2", fetch.into_bytes()).await;
    assert!(said.contains("NAK"), "{said}");
    costs(&machine, "flush packets", "v2", b"0000".repeat(REQUEST_MAX / 4)).await;
    assert_eq!(machine.store.refs(&machine.id).await.unwrap(), refs);
}

#[tokio::test]
async fn a_gzip_bomb_is_cut_off() {
    let machine = Machine::start().await;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let piece = b"0000".repeat(1 << 18);
    (0..900).for_each(|_| encoder.write_all(&piece).unwrap());
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() <= REQUEST_MAX);
    let body = decode_body(Some("gzip"), cloud::stream_of(bomb.clone())).unwrap();
    let answer = machine.store.upload_pack(&machine.id, Protocol::V2, body).await.unwrap();
    let said: Vec<Bytes> = answer.try_collect().await.unwrap();
    assert!(String::from_utf8_lossy(&said.concat()).contains("ERR "));
    let body = decode_body(Some("gzip"), cloud::stream_of(bomb)).unwrap();
    let length = body.try_fold(0u64, |sum, chunk| async move { Ok(sum + chunk.len() as u64) }).await;
    assert!(length.is_err(), "a body inflates to no more than a limit");
}
