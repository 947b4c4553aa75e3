//! Sixteen writers and eight readers on four refs, for some rounds; calls fail, processes end, packs are compacted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use git_store::{
    BranchName, CommitFiles, Error, FileChange, GitStore, Oid, RefName, RefUpdate, RepoPath, RepositoryId, Revision,
};
use tempfile::TempDir;
use testkit::memory::MemoryRecords;
use testkit::{Fault, FaultyCloud, SimClock, SimEntropy};

use super::history::{History, Op, Outcome, Value, What};
use crate::blobs::MemoryBlobs;
use crate::crashes::request;
use crate::machine::{START, TestPolicy, open_store};

const REFS: usize = 4;
const WRITERS: u64 = 16;
const READERS: u64 = 8;
const SWAPS_IN_A_ROUND: usize = 2;
const READS_IN_A_ROUND: usize = 3;
/// A process is ended in a round of so many.
const ENDED_EVERY: usize = 3;

/// What all of them share.
struct Arena {
    id: RepositoryId,
    values: Vec<Oid>,
    next: AtomicU32,
    ticks: AtomicU64,
    ops: Mutex<Vec<Op>>,
}

impl Arena {
    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    fn value(&self, oid: Option<Oid>) -> Value {
        oid.map(|oid| self.values.iter().position(|value| *value == oid).unwrap() as u32)
    }

    async fn read(&self, store: &GitStore, on: usize) -> Result<Value, Error> {
        let refs = store.refs(&self.id).await?;
        Ok(self.value(refs.iter().find(|r| r.name == name(on)).map(|r| r.oid)))
    }

    fn record(&self, op: Op) {
        self.ops.lock().unwrap().push(op);
    }
}

fn name(on: usize) -> RefName {
    RefName::parse(format!("refs/heads/hot-{on}")).unwrap()
}

/// A swap that has begun: whoever is ended before it answers leaves it unclear.
struct Begun<'a> {
    arena: &'a Arena,
    op: Option<Op>,
}

impl Begun<'_> {
    fn end(mut self, outcome: Outcome) {
        if let Some(op) = &mut self.op
            && let What::Swap { outcome: known, .. } = &mut op.what
        {
            *known = outcome;
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(op) = self.op.take() {
            self.arena.record(Op { end: self.arena.tick(), ..op });
        }
    }
}

async fn write(arena: &Arena, store: &GitStore, on: usize, round: usize) {
    let start = arena.tick();
    let Ok(old) = arena.read(store, on).await else { return };
    arena.record(Op { on, what: What::Read { saw: old }, start, end: arena.tick(), round });
    let number = arena.next.fetch_add(1, Ordering::SeqCst);
    let new = Some(number);
    let oid = |value: Value| value.map(|at| arena.values[at as usize]);
    let what = What::Swap { old, new, outcome: Outcome::Unclear };
    let begun = Begun { arena, op: Some(Op { on, what, start: arena.tick(), end: u64::MAX, round }) };
    let push_id = format!("swap-{number}");
    let update = RefUpdate { name: name(on), old: oid(old), new: oid(new), push_id };
    match store.update_ref(&arena.id, update, &TestPolicy::default()).await {
        Ok(()) => begun.end(Outcome::Won),
        Err(Error::Moved { current, .. }) => begun.end(Outcome::Lost(arena.value(current))),
        Err(_) => begun.end(Outcome::Unclear),
    }
}

async fn read(arena: &Arena, store: &GitStore, on: usize, round: usize) {
    let start = arena.tick();
    if let Ok(saw) = arena.read(store, on).await {
        arena.record(Op { on, what: What::Read { saw }, start, end: arena.tick(), round });
    }
}

pub async fn run(seed: u64, rounds: usize) -> History {
    let records = Arc::new(MemoryRecords::new(Arc::new(SimClock::at(START))));
    let blobs = Arc::new(MemoryBlobs::default());
    let cloud = FaultyCloud::new();
    let dir = TempDir::new().unwrap();
    let open = |process: usize| {
        let faulty = (Arc::new(cloud.records(records.clone())), Arc::new(cloud.blobs(blobs.clone())));
        open_store(faulty.0, faulty.1, dir.path().join(format!("cache-{process}")))
    };
    let mut store = open(0);
    let id = RepositoryId::parse("one").unwrap();
    store.create(&id, &BranchName::parse("main").unwrap()).await.unwrap();
    let mut values = Vec::new();
    for n in 0..rounds * WRITERS as usize * SWAPS_IN_A_ROUND {
        let path = RepoPath::parse("value").unwrap();
        let changes = vec![FileChange::Put { path, bytes: n.to_string().into(), mode: None }];
        let new = CommitFiles { changes, ..request(values.last().copied(), n) };
        values.push(store.commit_files(&id, new, &TestPolicy::default()).await.unwrap().oid);
        if n % 32 == 31 {
            store.compact(&id).await.unwrap();
        }
    }
    let arena =
        Arc::new(Arena { id, values, next: AtomicU32::new(0), ticks: AtomicU64::new(0), ops: Mutex::default() });
    let random = SimEntropy::seeded(seed);
    cloud.at_random(seed, 25, &[Fault::Before, Fault::After, Fault::Repeat, Fault::Delay(Duration::from_millis(2))]);
    for round in 0..rounds {
        let mut tasks = Vec::new();
        for worker in 0..WRITERS + READERS {
            let (arena, store, seed) = (arena.clone(), store.clone(), random.number());
            tasks.push(tokio::spawn(async move {
                let random = SimEntropy::seeded(seed);
                let on = || random.number() as usize % REFS;
                match worker < WRITERS {
                    true => {
                        for _ in 0..SWAPS_IN_A_ROUND {
                            write(&arena, &store, on(), round).await;
                        }
                    }
                    false => {
                        for _ in 0..READS_IN_A_ROUND {
                            read(&arena, &store, on(), round).await;
                        }
                    }
                }
            }));
        }
        let compaction = {
            let (arena, store) = (arena.clone(), store.clone());
            tokio::spawn(async move { store.compact(&arena.id).await.map(drop) })
        };
        let ended = round % ENDED_EVERY == ENDED_EVERY - 1;
        if ended {
            // The process is killed: nobody gets an answer any more.
            tokio::time::sleep(Duration::from_millis(random.number() % 20)).await;
            tasks.iter().for_each(tokio::task::JoinHandle::abort);
            compaction.abort();
        }
        futures::future::join_all(tasks).await;
        let _ = compaction.await;
        if ended {
            store = open(round + 1);
        }
    }
    cloud.heal();
    let fresh = open(rounds + 1);
    for on in 0..REFS {
        read(&arena, &fresh, on, rounds).await;
    }
    whole(&arena, &fresh).await;
    let ops = std::mem::take(&mut *arena.ops.lock().unwrap());
    History { ops, first: vec![None; REFS] }
}

/// Whatever the refs name can still be read, after all that compaction.
async fn whole(arena: &Arena, store: &GitStore) {
    for found in store.refs(&arena.id).await.unwrap() {
        let revision = Revision::parse(found.name.as_str()).unwrap();
        let commit = store.resolve(&arena.id, &revision).await.unwrap();
        store.tree(&arena.id, commit, None, None, 1000).await.unwrap();
    }
}
