//! `Blobs` when several act at once.

use std::sync::Arc;

use cloud::{Blobs, Error, PutCondition, PutOptions};

use super::blobs::{body, content, key};
use super::ok;

const WRITERS: u8 = 12;
const ROUNDS: usize = 10;

pub(super) async fn races(adapter: &Arc<dyn Blobs>, root: &str) {
    one_of_many_creators_wins(adapter, root).await;
    a_reader_sees_the_old_or_the_new(adapter, root).await;
}

/// A loser hears that it lost (412) or that it collided (409); it never hears that it won.
fn may_lose(error: &Error) -> bool {
    error.is_condition_failed() || matches!(error, Error::Unavailable(_))
}

async fn one_of_many_creators_wins(adapter: &Arc<dyn Blobs>, root: &str) {
    for (round, length) in [20_usize, 50_000].into_iter().cycle().take(ROUNDS).enumerate() {
        let at = key(root, &format!("race/{round}"));
        let tasks: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (adapter, at) = (adapter.clone(), at.clone());
                let options = PutOptions { condition: PutCondition::IfAbsent, ..PutOptions::default() };
                tokio::spawn(async move { adapter.put(&at, body(length, writer), options).await })
            })
            .collect();
        let mut winners = Vec::new();
        for (writer, task) in (0..WRITERS).zip(tasks) {
            match task.await.expect("a writer panicked") {
                Ok(_) => winners.push(writer),
                Err(error) => assert!(may_lose(&error), "a losing creator got {error:?}"),
            }
        }
        assert_eq!(winners.len(), 1, "creators {winners:?} won round {round}");
        assert!(
            content(ok(adapter.get(&at, None).await)).await == body(length, winners[0]),
            "a loser's body is stored"
        );
    }
}

async fn a_reader_sees_the_old_or_the_new(adapter: &Arc<dyn Blobs>, root: &str) {
    let at = key(root, "replaced");
    ok(adapter.put(&at, body(40_000, 0), PutOptions::default()).await);
    let writer = {
        let (adapter, at) = (adapter.clone(), at.clone());
        tokio::spawn(async move {
            for seed in 1..=40_u8 {
                // Between a small and a large body: an adapter may keep them in different places.
                let length = if seed % 2 == 0 { 40_000 } else { 100 };
                ok(adapter.put(&at, body(length, seed), PutOptions::default()).await);
            }
        })
    };
    while !writer.is_finished() {
        let blob = ok(adapter.get(&at, None).await);
        let (length, found) = (blob.meta.length, content(blob).await);
        let seed = found[0];
        assert_eq!(found.len() as u64, length);
        assert!(found == body(found.len(), seed), "a reader saw two bodies mixed");
        tokio::task::yield_now().await;
    }
    writer.await.expect("the writer panicked");
    assert!(content(ok(adapter.get(&at, None).await)).await == body(40_000, 40));
}
