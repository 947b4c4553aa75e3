//! `Queue` on SQS.

mod faults;

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use testkit::conformance::{self, ACKNOWLEDGED_LATE, ACKNOWLEDGED_TWICE, EXTENDED_LATE, Except, RECEIVES_MAX};
use testkit::emulator::Emulator;

use crate::{aws, config, fresh};

/// A new queue that takes its dead letters in another; the answer is its URL.
async fn queue(endpoint: &str) -> String {
    let client = Client::new(&config(endpoint));
    let name = fresh("queue");
    let dead = client.create_queue().queue_name(format!("{name}-dead")).send().await.unwrap();
    let arn = client
        .get_queue_attributes()
        .queue_url(dead.queue_url().unwrap())
        .attribute_names(QueueAttributeName::QueueArn)
        .send()
        .await
        .unwrap();
    let arn = arn.attributes().unwrap()[&QueueAttributeName::QueueArn].clone();
    let policy = serde_json::json!({"deadLetterTargetArn": arn, "maxReceiveCount": RECEIVES_MAX}).to_string();
    let made = client.create_queue().queue_name(name).attributes(QueueAttributeName::RedrivePolicy, policy);
    made.send().await.unwrap().queue_url().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_a_queue() {
    let emulator = Emulator::shared_ministack();
    let url = queue(emulator.endpoint()).await;
    let except = Except::of("ministack", &[(ACKNOWLEDGED_TWICE, "it refuses a receipt that was used")]);
    conformance::queue_except(Arc::new(aws(emulator.endpoint()).queue(url)), except).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises_of_a_queue() {
    let emulator = Emulator::shared_moto();
    let url = queue(emulator.endpoint()).await;
    let except = Except::of(
        "moto",
        &[
            (ACKNOWLEDGED_LATE, "it answers success, as SQS may, and keeps the message"),
            (EXTENDED_LATE, "it takes any receipt of the message"),
        ],
    );
    conformance::queue_except(Arc::new(aws(emulator.endpoint()).queue(url)), except).await;
}
