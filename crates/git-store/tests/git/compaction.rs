//! Packs joined, bitmaps, the bundle, garbage: nothing that a ref leads to is ever lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use git_store::{BranchName, CommitFiles, GitStore, Oid, RefName, RefUpdate};
use testkit::{Fault, FaultyCloud, SimClock};

use crate::crashes::{is_whole, request};
use crate::machine::{Machine, START, open_store, open_store_at};

const TWO_WEEKS: Duration = Duration::from_secs(14 * 24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);

/// A repository of some branches, merges, tags, renames and deletions, pushed in many pushes.
async fn grown(machine: &Machine) {
    machine.init("w").await;
    for n in 0..12 {
        let text: String = (0..60).map(|line| format!("{line} {}\n", if line % 12 == n { n } else { 0 })).collect();
        machine.commit("w", "a/b/long", &text).await;
        machine.commit("w", &format!("a/{n}"), &format!("{n}\n")).await;
        if n % 4 == 1 {
            machine.git("w", &["checkout", "-q", "-b", &format!("side-{n}")]).await;
            machine.commit("w", &format!("side/{n}"), "side\n").await;
            machine.git("w", &["checkout", "-q", "main"]).await;
            machine.git("w", &["merge", "-q", "--no-ff", "-m", "merge", &format!("side-{n}")]).await;
            machine.git("w", &["tag", "-a", "-m", "t", &format!("v{n}")]).await;
        }
        if n == 7 {
            machine.git("w", &["mv", "a/3", "a/three"]).await;
            machine.git("w", &["rm", "-q", "a/2"]).await;
            machine.git("w", &["commit", "-q", "-m", "move"]).await;
        }
        machine.git("w", &["push", "-q", "--all", "origin"]).await;
        machine.git("w", &["push", "-q", "--tags", "origin"]).await;
    }
}

/// The objects behind revisions, by git's own walk.
async fn closure(machine: &Machine, revisions: &[&str]) -> BTreeSet<String> {
    if revisions.is_empty() {
        return BTreeSet::new();
    }
    let listed = machine.git("w", &[&["rev-list", "--objects", "--no-object-names"], revisions].concat()).await;
    listed.lines().map(str::to_owned).collect()
}

/// The objects of the pack that answers a fetch.
async fn fetched(machine: &Machine, wants: &[&str], haves: &[&str], at: &str) -> BTreeSet<String> {
    let packet = |text: String| format!("{:04x}{text}", text.len() + 4);
    let mut body = packet("command=fetch\n".into()) + "0001" + &packet("ofs-delta\n".into());
    wants.iter().for_each(|oid| body += &packet(format!("want {oid}\n")));
    haves.iter().for_each(|oid| body += &packet(format!("have {oid}\n")));
    body += &(packet("done\n".into()) + "0000");
    let answer = machine.post("v2", body.into_bytes()).await;
    let mut pack = Vec::new();
    let mut rest = answer.as_slice();
    while rest.len() > 4 {
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..4]).unwrap(), 16).unwrap();
        if length > 4 && rest[4] == 1 {
            pack.extend_from_slice(&rest[5..length]);
        }
        rest = &rest[length.max(4)..];
    }
    machine.git(at, &["init", "-q", "--bare", "."]).await;
    std::fs::write(machine.path(at).join("got.pack"), pack).unwrap();
    machine.git(at, &["index-pack", "got.pack"]).await;
    let listed = machine.git(at, &["verify-pack", "-v", "got.idx"]).await;
    let oids = listed.lines().filter_map(|line| line.split_whitespace().next());
    oids.filter(|word| word.len() == 40).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bitmaps_choose_is_what_git_finds_by_walking() {
    let machine = Machine::start().await;
    grown(&machine).await;
    machine.store.compact(&machine.id).await.unwrap();
    assert!(machine.blobs.keys().iter().any(|key| key.contains("/bitmaps/")));
    // Some history that no bitmap knows.
    machine.commit("w", "after", "1").await;
    machine.commit("w", "a/5", "changed").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let all = machine.git("w", &["rev-list", "--all"]).await;
    let all: Vec<&str> = all.lines().collect();
    let random = testkit::SimEntropy::seeded(7);
    for round in 0..24 {
        let pick = |most: u64| -> Vec<&str> {
            let count = random.number() % (most + 1);
            (0..count).map(|_| all[random.number() as usize % all.len()]).collect()
        };
        let (mut wants, haves) = (pick(3), pick(3));
        if wants.is_empty() {
            wants.push(all[0]);
        }
        let (wanted, had) = (closure(&machine, &wants).await, closure(&machine, &haves).await);
        let expected: BTreeSet<String> = wanted.difference(&had).cloned().collect();
        let got = fetched(&machine, &wants, &haves, &format!("f{round}")).await;
        assert_eq!(got, expected, "wants {wants:?} haves {haves:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_before_and_after_compaction_is_the_same_repository() {
    let machine = Machine::start().await;
    grown(&machine).await;
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "before"]).await;
    let done = machine.store.compact(&machine.id).await.unwrap();
    assert!(done.packs_before > 8 && done.packs_after == 1, "{done:?}");
    let again = machine.store.compact(&machine.id).await.unwrap();
    assert_eq!((again.packs_before, again.packs_after, again.objects), (1, 1, done.objects));
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "after"]).await;
    machine.git("after", &["fsck", "--strict", "--full"]).await;
    let refs = ["for-each-ref"];
    assert_eq!(machine.git("before", &refs).await, machine.git("after", &refs).await);
    let objects = ["cat-file", "--batch-all-objects", "--batch-check"];
    assert_eq!(machine.git("before", &objects).await, machine.git("after", &objects).await);
    // Another process reads the bitmaps from the blobs, and pushes and fetches go on.
    let fresh = open_store(machine.records.clone(), machine.blobs.clone(), machine.path("cache2"));
    assert!(!fresh.wants_compaction(&machine.id).await.unwrap());
    machine.commit("w", "later", "x").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    machine.git("after", &["fetch", "-q", "--all"]).await;
    machine.git("after", &["fsck", "--strict", "--full"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_is_one_that_git_clones_from() {
    let machine = Machine::start().await;
    machine.init("w").await;
    let random = testkit::SimEntropy::seeded(3);
    let noise: String = (0..200_000).map(|_| format!("{:x}", random.number())).collect();
    machine.commit("w", "large", &noise).await;
    machine.git("w", &["tag", "v1"]).await;
    machine.git("w", &["push", "-q", "origin", "main", "v1"]).await;
    machine.store.compact(&machine.id).await.unwrap();
    let key = machine.blobs.keys().into_iter().find(|key| key.ends_with(".bundle")).unwrap();
    std::fs::write(machine.path("all.bundle"), machine.blobs.bytes(&key)).unwrap();
    machine.git("w", &["bundle", "verify", "-q", "../all.bundle"]).await;
    machine.git(".", &["clone", "-q", "-b", "main", "all.bundle", "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    assert_eq!(machine.git("c", &["rev-parse", "v1"]).await, machine.git("w", &["rev-parse", "main"]).await);
}

/// Pushes a branch with objects of its own, and deletes it; the answer is its commit.
async fn abandoned(machine: &Machine, name: &str) -> Oid {
    machine.git("w", &["checkout", "-q", "-b", name, "main"]).await;
    let oid = machine.commit("w", &format!("only/{name}"), name).await;
    machine.git("w", &["push", "-q", "origin", name]).await;
    machine.git("w", &["push", "-q", "origin", &format!(":{name}")]).await;
    machine.git("w", &["checkout", "-q", "main"]).await;
    Oid::parse(&oid).unwrap()
}

async fn point(store: &GitStore, machine: &Machine, name: &str, at: Oid, push_id: &str) -> git_store::Result<()> {
    let name = RefName::parse(format!("refs/heads/{name}")).unwrap();
    let update = RefUpdate { name, old: None, new: Some(at), push_id: push_id.into() };
    store.update_ref(&machine.id, update, &*machine.policy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_ref_leads_to_goes_after_two_weeks_and_not_before() {
    let machine = Machine::start().await;
    grown(&machine).await;
    let old = abandoned(&machine, "old").await;
    machine.store.compact(&machine.id).await.unwrap();
    machine.clock.advance(TWO_WEEKS - HOUR);
    let fresh = abandoned(&machine, "fresh").await;
    assert_eq!(machine.store.compact(&machine.id).await.unwrap().dropped, 0);
    point(&machine.store, &machine, "back", old, "p1").await.unwrap();
    machine
        .store
        .delete_branch(&machine.id, &BranchName::parse("back").unwrap(), None, &*machine.policy)
        .await
        .unwrap();
    machine.clock.advance(HOUR * 2);
    assert_eq!(machine.store.compact(&machine.id).await.unwrap().dropped, 4, "a commit, two trees and a blob");
    let refused = point(&machine.store, &machine, "back", old, "p2").await.unwrap_err();
    assert!(refused.to_string().contains("missing necessary objects"), "{refused}");
    point(&machine.store, &machine, "kept", fresh, "p3").await.unwrap();
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    // Blobs of what was replaced go when no read can want them.
    let packs = |machine: &Machine| machine.blobs.keys().iter().filter(|key| key.ends_with(".pack")).count();
    let with_retired = packs(&machine);
    machine.clock.advance(HOUR * 2);
    machine.store.compact(&machine.id).await.unwrap();
    machine.clock.advance(HOUR * 2);
    machine.store.compact(&machine.id).await.unwrap();
    assert!(packs(&machine) < with_retired);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_upon_objects_that_vanish_meanwhile_is_refused_and_not_broken() {
    let machine = Machine::start().await;
    grown(&machine).await;
    let old = abandoned(&machine, "old").await;
    machine.store.compact(&machine.id).await.unwrap();
    machine.clock.advance(TWO_WEEKS + HOUR);
    // A second process compacts while the first, which has the packs at hand, is asked for the old commit.
    let clock = Arc::new(SimClock::at(START));
    clock.advance(TWO_WEEKS + HOUR);
    let other = open_store_at(machine.records.clone(), machine.blobs.clone(), machine.path("other"), clock);
    machine.store.commit(&machine.id, old).await.unwrap();
    assert_eq!(other.compact(&machine.id).await.unwrap().dropped, 4);
    let refused = point(&machine.store, &machine, "back", old, "p1").await.unwrap_err();
    assert!(refused.to_string().contains("missing necessary objects"), "{refused}");
    machine.git("w", &["checkout", "-q", "old"]).await;
    machine.commit("w", "upon", "the old commit").await;
    machine.git("w", &["push", "-q", "origin", "HEAD:refs/heads/again"]).await;
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_that_loses_any_storage_call_loses_nothing_else() {
    for fault in [Fault::Before, Fault::After, Fault::Repeat] {
        for nth in 1..=20 {
            let machine = Machine::start().await;
            let mut head = None;
            for n in 0..9 {
                let made = machine.store.commit_files(&machine.id, request(head, n), &*machine.policy).await;
                head = Some(made.unwrap().oid);
            }
            let gone = BranchName::parse("gone").unwrap();
            machine.store.create_branch(&machine.id, &gone, head.unwrap(), &*machine.policy).await.unwrap();
            let lost = CommitFiles { branch: gone.clone(), ..request(head, 20) };
            machine.store.commit_files(&machine.id, lost, &*machine.policy).await.unwrap();
            machine.store.delete_branch(&machine.id, &gone, None, &*machine.policy).await.unwrap();
            machine.store.compact(&machine.id).await.unwrap();
            let head = machine.store.commit_files(&machine.id, request(head, 9), &*machine.policy).await.unwrap().oid;
            let cloud = FaultyCloud::new();
            let faulty =
                (Arc::new(cloud.records(machine.records.clone())), Arc::new(cloud.blobs(machine.blobs.clone())));
            let clock = Arc::new(SimClock::at(START));
            clock.advance(TWO_WEEKS + HOUR);
            let store = open_store_at(faulty.0, faulty.1, machine.path("faulty"), clock);
            cloud.at(nth, fault);
            let _ = store.compact(&machine.id).await;
            cloud.heal();
            let fresh = open_store(machine.records.clone(), machine.blobs.clone(), machine.path("fresh"));
            assert_eq!(fresh.head(&machine.id).await.unwrap().oid, Some(head), "{fault:?} {nth}");
            assert_eq!(is_whole(&fresh, &machine.id, head).await, 10, "{fault:?} {nth}");
            store.compact(&machine.id).await.unwrap();
            let fresh = open_store(machine.records.clone(), machine.blobs.clone(), machine.path("again"));
            assert_eq!(is_whole(&fresh, &machine.id, head).await, 10, "{fault:?} {nth}");
            assert!(fresh.usage(&machine.id).await.unwrap().packs <= 2, "{fault:?} {nth}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_beside_pushes_and_clones_keeps_every_acknowledged_push() {
    let machine = Arc::new(Machine::start().await);
    machine.init("w").await;
    machine.commit("w", "first", "1").await;
    machine.git("w", &["push", "-q", "origin", "main"]).await;
    let compacting = {
        let machine = machine.clone();
        tokio::spawn(async move {
            for _ in 0..30 {
                machine.store.compact(&machine.id).await.unwrap();
                machine.clock.advance(Duration::from_secs(120));
            }
        })
    };
    let mut pushers = Vec::new();
    for pusher in 0..3 {
        let machine = machine.clone();
        pushers.push(tokio::spawn(async move {
            let (at, branch) = (format!("p{pusher}"), format!("b{pusher}"));
            machine.git(".", &["clone", "-q", &machine.url, &at]).await;
            machine.git(&at, &["checkout", "-q", "-b", &branch]).await;
            for n in 0..12 {
                machine.commit(&at, &format!("{branch}/{n}"), "x").await;
                machine.git(&at, &["push", "-q", "origin", &branch]).await;
            }
            (branch, machine.git(&at, &["rev-parse", "HEAD"]).await)
        }));
    }
    let mut acknowledged = Vec::new();
    for pusher in pushers {
        acknowledged.push(pusher.await.unwrap());
    }
    compacting.await.unwrap();
    machine.git(".", &["clone", "-q", "--mirror", &machine.url, "c"]).await;
    machine.git("c", &["fsck", "--strict", "--full"]).await;
    for (branch, oid) in acknowledged {
        assert_eq!(machine.git("c", &["rev-parse", &branch]).await, oid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_that_a_crash_left_are_swept_and_named_ones_are_not() {
    let machine = Machine::start().await;
    grown(&machine).await;
    machine.store.compact(&machine.id).await.unwrap();
    let named = machine.blobs.keys();
    let left = ["packs/x-y.pack", "packs/x-y.idx", "bitmaps/x", "bundles/x.bundle", "contents/x.json"];
    left.iter().for_each(|name| machine.blobs.leave_behind(&format!("git/one/{name}")));
    machine.blobs.leave_behind("git/one/lfs/x");
    machine.store.compact(&machine.id).await.unwrap();
    let keys = machine.blobs.keys();
    assert!(!keys.iter().any(|key| left.iter().any(|name| key.ends_with(name))), "{keys:?}");
    assert!(keys.contains(&"git/one/lfs/x".to_owned()), "what the record does not name one by one is not ours");
    let packs = named.iter().filter(|key| key.contains("/packs/"));
    assert!(packs.clone().count() > 0 && packs.clone().all(|key| keys.contains(key)));
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bitmaps_are_noticed_by_their_digest() {
    let machine = Machine::start().await;
    grown(&machine).await;
    machine.store.compact(&machine.id).await.unwrap();
    let key = machine.blobs.keys().into_iter().find(|key| key.contains("/bitmaps/")).unwrap();
    machine.blobs.damage(&key);
    let fresh = open_store(machine.records.clone(), machine.blobs.clone(), machine.path("fresh"));
    let head = machine.store.head(&machine.id).await.unwrap().oid.unwrap();
    assert!(fresh.commit(&machine.id, head).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_compacted_to_nothing() {
    let machine = Machine::start().await;
    let done = machine.store.compact(&machine.id).await.unwrap();
    assert_eq!((done.packs_after, done.objects, done.bytes), (0, 0, 0));
}
