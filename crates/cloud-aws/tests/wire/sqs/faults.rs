//! What the adapter makes of refusals, lost calls and lost answers.

use std::time::Duration;

use aws_sdk_sqs::Client;
use cloud::{Error, Queue, Receipt, SendMessage};
use cloud_aws::SqsQueue;
use testkit::emulator::{Emulator, Shared};
use testkit::{FaultProxy, Rule, WireFault};

use super::queue;
use crate::{aws, config};

/// As many attempts as the adapter makes.
const ATTEMPTS: usize = 3;
const LONG: Duration = Duration::from_secs(120);
const NOW: Duration = Duration::ZERO;

struct Behind {
    proxy: FaultProxy,
    queue: SqsQueue,
    client: Client,
    url: String,
    _emulator: Shared,
}

impl Behind {
    async fn of(emulator: Shared) -> Self {
        let url = queue(emulator.endpoint()).await;
        let proxy = FaultProxy::start(emulator.endpoint()).await;
        let queue = aws(proxy.endpoint()).queue(&url);
        let client = Client::new(&config(emulator.endpoint()));
        Self { proxy, queue, client, url, _emulator: emulator }
    }

    async fn send(&self, body: &str) -> cloud::Result<String> {
        self.queue.send(SendMessage { body: body.into(), delay: NOW }).await
    }

    /// Everything in the queue, seen without the proxy.
    async fn bodies(&self) -> Vec<String> {
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let answer = request.visibility_timeout(0).send().await.unwrap();
        answer.messages().iter().map(|message| message.body().unwrap().to_owned()).collect()
    }

    async fn every_call(&self) -> Vec<(&'static str, cloud::Result<()>)> {
        let receipt = Receipt("receipt".into());
        vec![
            ("send", self.send("x").await.map(drop)),
            ("receive", self.queue.receive(1, LONG, NOW).await.map(drop)),
            ("extend", self.queue.extend(&receipt, LONG).await),
            ("acknowledge", self.queue.acknowledge(&receipt).await),
            ("dead_letters", self.queue.dead_letters(10).await.map(drop)),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_retried_and_then_said() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    for code in ["ThrottlingException", "RequestThrottled"] {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(WireFault::json(400, code)).times(ATTEMPTS - 1));
        behind.send(code).await.unwrap();
        assert_eq!(behind.proxy.calls(|_| true), ATTEMPTS);
    }
    for fault in [WireFault::json(400, "ThrottlingException"), WireFault::json(503, "ServiceUnavailable")] {
        behind.proxy.heal();
        behind.proxy.inject(Rule::new(fault).always());
        let failures = behind.every_call().await;
        assert_eq!(behind.proxy.calls(|_| true), failures.len() * ATTEMPTS);
        for (what, failure) in failures {
            assert!(matches!(failure, Err(Error::Unavailable(_))), "{what}: {failure:?}");
        }
    }
    assert_eq!(behind.bodies().await.len(), 2, "a throttled message is sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_are_said_at_once() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    behind.proxy.inject(Rule::new(WireFault::json(400, "ExpiredTokenException")).always());
    let failures = behind.every_call().await;
    assert_eq!(behind.proxy.calls(|_| true), failures.len(), "a call was repeated");
    for (what, failure) in failures {
        let error = failure.unwrap_err();
        assert!(
            matches!(&error, Error::Other { context, .. } if context.ends_with("have expired")),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_arrives_at_least_once() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    for (number, fault) in
        [WireFault::LoseCall, WireFault::LoseAnswer, WireFault::json(500, "InternalError")].into_iter().enumerate()
    {
        behind.proxy.inject(Rule::new(fault).when(|call| call.operation() == "SendMessage"));
        behind.send(&format!("message {number}")).await.unwrap();
    }
    let bodies = behind.bodies().await;
    for number in 0..3 {
        assert!(bodies.contains(&format!("message {number}")), "{bodies:?}");
    }
    behind.proxy.heal();
    behind.proxy.inject(Rule::new(WireFault::LoseCall).always());
    let unclear = behind.send("never").await;
    assert!(matches!(unclear, Err(Error::Unclear(_))), "{unclear:?}");
    assert_eq!(behind.proxy.calls(|_| true), ATTEMPTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_answer_leased_comes_back() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    behind.send("again").await.unwrap();
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.operation() == "ReceiveMessage"));
    let leased = behind.queue.receive(1, Duration::from_secs(1), Duration::from_secs(15)).await.unwrap();
    assert_eq!(leased.iter().map(|leased| (leased.body.as_str(), leased.attempt)).collect::<Vec<_>>(), [("again", 2)]);
    assert!(behind.queue.receive(1, LONG, NOW).await.is_ok());
    for fault in [WireFault::BreakOff(1), WireFault::Shorten(1)] {
        behind.proxy.heal();
        let receives = Rule::new(fault.clone()).when(|call| call.operation() == "ReceiveMessage");
        behind.proxy.inject(receives.always());
        let failure = behind.queue.receive(1, Duration::from_secs(1), NOW).await;
        assert!(matches!(failure, Err(Error::Unavailable(_))), "{fault:?}: {failure:?}");
    }
}

/// Against moto: ministack refuses a receipt that was used, where SQS does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_of_an_acknowledgement_is_its_success() {
    let behind = Behind::of(Emulator::shared_moto()).await;
    behind.send("done").await.unwrap();
    let leased = behind.queue.receive(1, LONG, NOW).await.unwrap().remove(0);
    behind.proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.operation() == "DeleteMessage"));
    behind.queue.acknowledge(&leased.receipt).await.unwrap();
    assert!(behind.bodies().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receive_may_wait_as_long_as_sqs_does() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    let found = behind.queue.receive(1, LONG, Duration::from_secs(60)).await.unwrap();
    assert!(found.is_empty());
    assert_eq!(behind.proxy.calls(|_| true), 1, "an answer that SQS takes its time for was given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_dead_letters_takes_none_away() {
    let behind = Behind::of(Emulator::shared_ministack()).await;
    for number in 0..12 {
        behind.send(&format!("{number}")).await.unwrap();
    }
    // Received too often at once: each receive gives everything back.
    for _ in 0..8 {
        for leased in behind.queue.receive(10, LONG, NOW).await.unwrap() {
            behind.queue.extend(&leased.receipt, NOW).await.unwrap();
        }
    }
    let look = || async { behind.queue.dead_letters(100).await.unwrap() };
    let first = look().await;
    assert_eq!(first.len(), 12);
    assert!(first.is_sorted_by_key(|letter| letter.sent));
    assert_eq!(look().await.len(), 12, "a look hid what it saw");
    assert_eq!(behind.queue.dead_letters(3).await.unwrap().len(), 3);
    behind.proxy.inject(Rule::new(WireFault::json(400, "ThrottlingException")).nth(4).always());
    assert!(matches!(behind.queue.dead_letters(100).await, Err(Error::Unavailable(_))));
}
