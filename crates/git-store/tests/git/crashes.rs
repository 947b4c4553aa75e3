//! Every storage call of a push fails once, before and after it took effect.

use std::sync::Arc;

use bytes::Bytes;
use cloud::{Expect, Millis, RecordKey, Records, Write};
use git_store::{BranchName, CommitFiles, FileChange, GitStore, LogQuery, Oid, RepoPath, RepositoryId, Signature};
use tempfile::TempDir;
use testkit::memory::MemoryRecords;
use testkit::{Fault, FaultyCloud, SimClock};

use crate::blobs::MemoryBlobs;
use crate::machine::{TestPolicy, open_store};

pub fn request(head: Option<Oid>, n: usize) -> CommitFiles {
    let who = Signature { name: "A".into(), email: "a@x".into(), at: Millis(1_700_000_000_000), offset_minutes: 0 };
    let path = RepoPath::parse(format!("f{n}")).unwrap();
    CommitFiles {
        branch: BranchName::parse("main").unwrap(),
        expected_head: head,
        author: who.clone(),
        committer: who,
        message: format!("commit {n}"),
        changes: vec![FileChange::Put { path, bytes: Bytes::from(format!("{n}")), mode: None }],
        amend: false,
        push_id: format!("push-{n}"),
    }
}

/// Every object that the branch leads to can be read.
pub async fn is_whole(store: &GitStore, id: &RepositoryId, head: Oid) -> usize {
    let query = LogQuery { limit: 1000, ..LogQuery::of(head) };
    let commits = store.log(id, query).await.unwrap().commits;
    for commit in &commits {
        for entry in store.tree(id, commit.oid, None, None, 1000).await.unwrap().entries {
            let path = RepoPath::parse(entry.name).unwrap();
            store.file(id, commit.oid, &path).await.unwrap();
        }
    }
    commits.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_loses_any_storage_call_happens_whole_or_not_at_all() {
    let id = RepositoryId::parse("one").unwrap();
    for fault in [Fault::Before, Fault::After, Fault::Repeat] {
        for nth in 1..=12 {
            let records = Arc::new(MemoryRecords::new(Arc::new(SimClock::at(Millis(0)))));
            let blobs = Arc::new(MemoryBlobs::default());
            let cloud = FaultyCloud::new();
            let dir = TempDir::new().unwrap();
            let faulty = (Arc::new(cloud.records(records.clone())), Arc::new(cloud.blobs(blobs.clone())));
            let store = open_store(faulty.0, faulty.1, dir.path().join("a"));
            store.create(&id, &BranchName::parse("main").unwrap()).await.unwrap();
            let policy = TestPolicy::default();
            let event = RecordKey::new("events", "1");
            let along = Write::put(event.clone(), serde_json::json!({"n": 2}), Expect::Absent);
            let first = store.commit_files(&id, request(None, 1), &policy).await.unwrap().oid;
            policy.along.lock().unwrap().push(along);
            cloud.at(nth, fault);
            let pushed = store.commit_files(&id, request(Some(first), 2), &policy).await;
            cloud.heal();

            // Another process, with nothing but what is stored.
            let fresh = open_store(records.clone(), blobs.clone(), dir.path().join("b"));
            let head = fresh.head(&id).await.unwrap().oid.unwrap();
            let moved = head != first;
            assert_eq!(is_whole(&fresh, &id, head).await, if moved { 2 } else { 1 }, "{fault:?} {nth}");
            let told = records.get(&event).await.unwrap().is_some();
            assert_eq!(told, moved, "{fault:?} {nth}: the event is written if and only if the ref moved");
            if let Ok(commit) = &pushed {
                assert_eq!(commit.oid, head, "{fault:?} {nth}: an acknowledged commit is there");
            }
            // The same push again settles it, whatever happened.
            let settled = fresh.commit_files(&id, request(Some(first), 2), &policy).await.unwrap();
            assert_eq!(fresh.head(&id).await.unwrap().oid, Some(settled.oid));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_commits_on_one_head_exactly_one_wins() {
    let id = RepositoryId::parse("one").unwrap();
    let records = Arc::new(MemoryRecords::new(Arc::new(SimClock::at(Millis(0)))));
    let blobs = Arc::new(MemoryBlobs::default());
    let dir = TempDir::new().unwrap();
    let store = open_store(records, blobs, dir.path().join("a"));
    store.create(&id, &BranchName::parse("main").unwrap()).await.unwrap();
    let first = store.commit_files(&id, request(None, 0), &TestPolicy::default()).await.unwrap().oid;
    let tasks = (1..=12).map(|n| {
        let (store, id) = (store.clone(), id.clone());
        tokio::spawn(async move { store.commit_files(&id, request(Some(first), n), &TestPolicy::default()).await })
    });
    let outcomes = futures::future::join_all(tasks).await;
    let won: Vec<_> = outcomes.into_iter().filter_map(|outcome| outcome.unwrap().ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(store.head(&id).await.unwrap().oid, Some(won[0].oid));
    let others = (20..26).map(|n| {
        let (store, id, at) = (store.clone(), id.clone(), won[0].oid);
        let branch = BranchName::parse(format!("b{n}")).unwrap();
        tokio::spawn(async move { store.create_branch(&id, &branch, at, &TestPolicy::default()).await })
    });
    assert!(futures::future::join_all(others).await.into_iter().all(|outcome| outcome.unwrap().is_ok()));
}
