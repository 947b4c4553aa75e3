//! `Queue`. The queue handed over must be empty, take its dead letters in, and allow three receives.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloud::limits::{QUEUE_DELAY_MAX, QUEUE_MESSAGE_MAX};
use cloud::{Leased, Queue, Receipt, SendMessage};

use super::{Except, invalid, ok, stale, too_large};

/// How often a message of the queue handed over may be received.
pub const RECEIVES_MAX: u32 = 3;
/// The shortest lease that every service has.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(120);
const NOW: Duration = Duration::ZERO;
/// Longer than `SHORT`: what comes back comes within it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A receipt that was used is good for nothing more, and using it again does no harm.
pub const ACKNOWLEDGED_TWICE: &str = "a second acknowledgement succeeds";
/// Services that promise no more than "at least once" may say nothing to who acknowledges too late.
pub const ACKNOWLEDGED_LATE: &str = "an acknowledgement by a lost lease is refused";
pub const EXTENDED_LATE: &str = "an extension of a lost lease is refused";

/// Everything that `Queue` promises.
pub async fn queue(adapter: Arc<dyn Queue>) {
    queue_except(adapter, Except::nothing()).await;
}

/// Everything but what is listed.
pub async fn queue_except(adapter: Arc<dyn Queue>, except: Except) {
    limits_are_kept(&*adapter).await;
    a_message_is_received_once_while_it_is_leased(&*adapter, &except).await;
    a_lost_lease_comes_back_and_its_receipt_is_stale(&*adapter, &except).await;
    a_lease_can_be_extended_and_given_back(&*adapter, &except).await;
    a_delayed_message_waits(&*adapter).await;
    a_waiting_receiver_is_woken(&adapter).await;
    concurrent_receivers_share_without_overlap(&adapter).await;
    what_fails_too_often_becomes_a_dead_letter(&*adapter).await;
    except.check();
}

async fn send(adapter: &dyn Queue, body: &str) -> String {
    ok(adapter.send(SendMessage { body: body.into(), delay: NOW }).await)
}

async fn one(adapter: &dyn Queue, visibility: Duration) -> Leased {
    let mut leased = ok(adapter.receive(1, visibility, PATIENCE).await);
    assert_eq!(leased.len(), 1, "a message was expected");
    leased.remove(0)
}

async fn nothing(adapter: &dyn Queue) {
    let leased = ok(adapter.receive(10, SHORT, NOW).await);
    assert!(leased.is_empty(), "nothing was expected, {leased:?} came");
}

async fn limits_are_kept(adapter: &dyn Queue) {
    let message = |body: String, delay| SendMessage { body, delay };
    too_large(adapter.send(message("x".repeat(QUEUE_MESSAGE_MAX + 1), NOW)).await, "a message");
    invalid(adapter.send(message("x".into(), QUEUE_DELAY_MAX + Duration::from_secs(1))).await, "a delay");
    invalid(adapter.receive(0, LONG, NOW).await, "a receive of none");
    invalid(adapter.receive(11, LONG, NOW).await, "a receive of eleven");
    nothing(adapter).await;
    let largest = "x".repeat(QUEUE_MESSAGE_MAX);
    send(adapter, &largest).await;
    let leased = one(adapter, LONG).await;
    assert!(leased.body == largest, "the largest message changed on its way");
    ok(adapter.acknowledge(&leased.receipt).await);
}

async fn a_message_is_received_once_while_it_is_leased(adapter: &dyn Queue, except: &Except) {
    let id = send(adapter, "{\"job\": \"ü\"}").await;
    let leased = one(adapter, LONG).await;
    assert_eq!((&leased.id, leased.body.as_str(), leased.attempt), (&id, "{\"job\": \"ü\"}", 1));
    nothing(adapter).await;
    ok(adapter.acknowledge(&leased.receipt).await);
    nothing(adapter).await;
    if !except.leaves_out(ACKNOWLEDGED_TWICE) {
        ok(adapter.acknowledge(&leased.receipt).await);
    }
}

async fn a_lost_lease_comes_back_and_its_receipt_is_stale(adapter: &dyn Queue, except: &Except) {
    let id = send(adapter, "again").await;
    let first = one(adapter, SHORT).await;
    let second = one(adapter, LONG).await;
    assert_eq!((&first.id, &second.id), (&id, &id));
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_ne!(first.receipt, second.receipt);
    if !except.leaves_out(ACKNOWLEDGED_LATE) {
        stale(adapter.acknowledge(&first.receipt).await, "an acknowledgement by a lost lease");
    }
    if !except.leaves_out(EXTENDED_LATE) {
        stale(adapter.extend(&first.receipt, LONG).await, "an extension of a lost lease");
    }
    nothing(adapter).await;
    ok(adapter.acknowledge(&second.receipt).await);
    nothing(adapter).await;
}

async fn a_lease_can_be_extended_and_given_back(adapter: &dyn Queue, except: &Except) {
    send(adapter, "slow").await;
    let leased = one(adapter, SHORT * 3).await;
    ok(adapter.extend(&leased.receipt, LONG).await);
    tokio::time::sleep(SHORT * 4).await;
    nothing(adapter).await;
    ok(adapter.extend(&leased.receipt, NOW).await);
    let again = one(adapter, LONG).await;
    assert_eq!((&again.id, again.attempt), (&leased.id, 2));
    if !except.leaves_out(ACKNOWLEDGED_LATE) {
        stale(adapter.acknowledge(&leased.receipt).await, "an acknowledgement of what was given back");
    }
    ok(adapter.acknowledge(&again.receipt).await);
    match adapter.acknowledge(&Receipt("not a receipt".into())).await {
        Err(cloud::Error::Stale(_) | cloud::Error::Invalid(_)) => {}
        other => panic!("a foreign receipt got {other:?}"),
    }
}

async fn a_delayed_message_waits(adapter: &dyn Queue) {
    ok(adapter.send(SendMessage { body: "later".into(), delay: SHORT * 3 }).await);
    nothing(adapter).await;
    let leased = one(adapter, LONG).await;
    assert_eq!(leased.body, "later");
    ok(adapter.acknowledge(&leased.receipt).await);
}

async fn a_waiting_receiver_is_woken(adapter: &Arc<dyn Queue>) {
    let receiver = adapter.clone();
    let waiting = tokio::spawn(async move { receiver.receive(1, LONG, PATIENCE).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    send(&**adapter, "wake").await;
    let leased = ok(waiting.await.expect("the receiver panicked"));
    assert_eq!(leased.iter().map(|leased| leased.body.as_str()).collect::<Vec<_>>(), ["wake"]);
    ok(adapter.acknowledge(&leased[0].receipt).await);
}

async fn concurrent_receivers_share_without_overlap(adapter: &Arc<dyn Queue>) {
    let mut sent = HashSet::new();
    for number in 0..40 {
        sent.insert(send(&**adapter, &format!("message {number}")).await);
    }
    let received: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let (adapter, received) = (adapter.clone(), received.clone());
            tokio::spawn(async move {
                loop {
                    let leased = ok(adapter.receive(5, LONG, SHORT).await);
                    if leased.is_empty() {
                        return;
                    }
                    for message in leased {
                        ok(adapter.acknowledge(&message.receipt).await);
                        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
                        *received.entry(message.id).or_default() += 1;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a receiver panicked");
    }
    let received = received.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(received.keys().cloned().collect::<HashSet<_>>(), sent, "messages were lost or invented");
    assert!(received.values().all(|times| *times == 1), "a leased message was received twice: {received:?}");
}

async fn what_fails_too_often_becomes_a_dead_letter(adapter: &dyn Queue) {
    let id = send(adapter, "poison").await;
    for attempt in 1..=RECEIVES_MAX {
        let leased = one(adapter, LONG).await;
        assert_eq!(leased.attempt, attempt);
        ok(adapter.extend(&leased.receipt, NOW).await);
    }
    nothing(adapter).await;
    let healthy = send(adapter, "healthy").await;
    let leased = one(adapter, LONG).await;
    assert_eq!(leased.id, healthy, "a dead letter stands in the way");
    ok(adapter.acknowledge(&leased.receipt).await);
    let dead = ok(adapter.dead_letters(10).await);
    let letter = dead.iter().find(|letter| letter.body == "poison").expect("the dead letter is there");
    assert_eq!((&letter.id, letter.attempts), (&id, RECEIVES_MAX));
}
