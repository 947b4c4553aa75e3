//! Clients that go away in the middle of a push.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cloud::{BlobStream, Write};
use futures::channel::mpsc::Sender;
use futures::{SinkExt, StreamExt};
use git_store::{RefChange, RefPolicy};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::machine::Machine;
use crate::raw::{Pack, ZERO, push};

/// A push of one commit; what its new branch will point at.
fn request(capability: &str) -> (Vec<u8>, String) {
    let mut pack = Pack::default();
    let blob = pack.blob("text\n");
    let tree = pack.tree(&[("100644", b"a.txt", blob)]);
    let commit = pack.commit(tree, &[]).to_string();
    (push(&[(ZERO, &commit, "refs/heads/new")], capability, &pack.finish()), commit)
}

/// A push that is under way: all but its last bytes are sent, and the pack is being taken in.
struct Begun {
    answer: JoinHandle<git_store::Result<BlobStream>>,
    body: Sender<std::io::Result<Bytes>>,
    last: Bytes,
    /// Is told when the push is over: then nobody holds its body.
    over: oneshot::Receiver<()>,
}

impl Begun {
    async fn of(machine: &Machine, body: &[u8], policy: Arc<dyn RefPolicy>) -> Self {
        let (mut sender, receiver) = futures::channel::mpsc::channel(0);
        let (guard, over) = oneshot::channel();
        let stream: BlobStream = receiver.map(move |chunk| (chunk, &guard).0).boxed();
        let (store, id) = (machine.store.clone(), machine.id.clone());
        let answer = tokio::spawn(async move { store.receive_pack(&id, stream, policy).await });
        let (most, last) = body.split_at(body.len() - 30);
        let (commands, rest) = most.split_at(most.len() - 2);
        // One waits at a time: when the last of these is on its way, the second has been taken for the pack.
        for part in [commands, &rest[..1], &rest[1..]] {
            sender.send(Ok(Bytes::copy_from_slice(part))).await.unwrap();
        }
        Self { answer, body: sender, last: Bytes::copy_from_slice(last), over }
    }

    /// The rest comes through: it is not for want of bytes when nothing happens.
    async fn end(mut self) {
        self.body.send(Ok(self.last)).await.unwrap();
        drop(self.body);
        assert!(self.over.await.is_err());
    }
}

/// Drops the answer in the very transaction of the push.
#[derive(Default)]
struct LeavesAtTheSwap {
    answer: Mutex<Option<BlobStream>>,
}

#[async_trait::async_trait]
impl RefPolicy for LeavesAtTheSwap {
    async fn check(&self, _: &RefChange) -> Result<(), String> {
        Ok(())
    }

    async fn along(&self, _: &[RefChange]) -> Result<Vec<Write>, cloud::Error> {
        assert!(self.answer.lock().unwrap().take().is_some());
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_has_gone_before_the_swap_changes_nothing() {
    for capability in ["", "side-band-64k"] {
        let machine = Machine::start().await;
        let mut begun = Begun::of(&machine, &request(capability).0, machine.policy.clone()).await;
        if capability.is_empty() {
            begun.answer.abort();
            assert!((&mut begun.answer).await.is_err(), "whoever asked waits no more");
        } else {
            drop((&mut begun.answer).await.unwrap().unwrap());
        }
        begun.end().await;
        assert!(machine.store.refs(&machine.id).await.unwrap().is_empty(), "{capability}");
        assert!(machine.policy.seen.lock().unwrap().is_empty());
        assert!(machine.blobs.keys().iter().all(|key| !key.contains("packs/")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_whose_client_goes_at_the_swap_is_finished() {
    let machine = Machine::start().await;
    let (body, commit) = request("side-band-64k");
    let policy = Arc::new(LeavesAtTheSwap::default());
    let mut begun = Begun::of(&machine, &body, policy.clone()).await;
    *policy.answer.lock().unwrap() = Some((&mut begun.answer).await.unwrap().unwrap());
    begun.end().await;
    let refs = machine.store.refs(&machine.id).await.unwrap();
    assert_eq!(refs.iter().map(|r| r.oid.to_string()).collect::<Vec<_>>(), [commit]);
    assert!(policy.answer.lock().unwrap().is_none());
}

#[tokio::test]
async fn what_a_killed_process_left_is_gone_at_the_start() {
    let machine = Machine::start().await;
    let cache = machine.path("left");
    for folder in ["quarantine/push-x/pack", "repositories/one-7/pack"] {
        std::fs::create_dir_all(cache.join(folder)).unwrap();
        std::fs::write(cache.join(folder).join("large"), "left").unwrap();
    }
    let store = crate::machine::open_store(machine.records.clone(), machine.blobs.clone(), cache.clone());
    store.sweep_leftovers().unwrap();
    for folder in ["quarantine", "repositories"] {
        assert_eq!(std::fs::read_dir(cache.join(folder)).unwrap().count(), 0, "{folder}");
    }
}
