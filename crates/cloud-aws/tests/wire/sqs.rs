//! `Queue` on SQS.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use testkit::conformance::{self, RECEIVES_MAX};
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
    conformance::queue(Arc::new(aws(emulator.endpoint()).queue(url))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises_of_a_queue() {
    let emulator = Emulator::shared_moto();
    let url = queue(emulator.endpoint()).await;
    conformance::queue(Arc::new(aws(emulator.endpoint()).queue(url))).await;
}
