//! `Blobs` on S3.

mod faults;
mod ours;
mod uploads;

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use cloud::{BlobKey, Blobs, PutCondition, PutOptions};
use cloud_aws::S3Blobs;
use testkit::emulator::{Emulator, Shared};
use testkit::{FaultProxy, conformance};

use crate::{aws, config, fresh};

/// A client of the SDK's own, to set up and to look from outside.
fn client(endpoint: &str) -> Client {
    Client::from_conf(aws_sdk_s3::config::Builder::from(&config(endpoint)).force_path_style(true).build())
}

async fn bucket(endpoint: &str) -> String {
    let name = fresh("bucket");
    client(endpoint).create_bucket().bucket(&name).send().await.unwrap();
    name
}

fn key(raw: &str) -> BlobKey {
    BlobKey::parse(raw).unwrap()
}

fn only(condition: PutCondition) -> PutOptions {
    PutOptions { condition, ..PutOptions::default() }
}

/// An adapter behind a proxy, and a client beside it that meets no fault.
struct Behind {
    proxy: FaultProxy,
    blobs: S3Blobs,
    client: Client,
    bucket: String,
    _emulator: Shared,
}

impl Behind {
    async fn ministack() -> Self {
        let emulator = Emulator::shared_ministack();
        let client = client(emulator.endpoint());
        let bucket = bucket(emulator.endpoint()).await;
        let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        client.put_bucket_versioning().bucket(&bucket).versioning_configuration(versions).send().await.unwrap();
        let proxy = FaultProxy::start(emulator.endpoint()).await;
        let blobs = aws(proxy.endpoint()).blobs(&bucket);
        Self { proxy, blobs, client, bucket, _emulator: emulator }
    }

    /// What is stored under the key, seen without the proxy.
    async fn stored(&self, key: &str) -> Vec<u8> {
        let answer = self.client.get_object().bucket(&self.bucket).key(key).send().await.unwrap();
        answer.body.collect().await.unwrap().to_vec()
    }

    /// How many versions S3 has kept: one for each write that happened.
    async fn versions(&self, key: &str) -> usize {
        let answer = self.client.list_object_versions().bucket(&self.bucket).prefix(key).send().await.unwrap();
        answer.versions().iter().filter(|version| version.key() == Some(key)).count()
    }

    async fn open_uploads(&self) -> usize {
        self.client.list_multipart_uploads().bucket(&self.bucket).send().await.unwrap().uploads().len()
    }

    fn puts(&self) -> usize {
        self.proxy.calls(|call| call.method == "PUT")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_blobs() {
    let emulator = Emulator::shared_ministack();
    let bucket = bucket(emulator.endpoint()).await;
    conformance::blobs(Arc::new(aws(emulator.endpoint()).blobs(bucket))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_made_when_it_is_first_needed() {
    // Nothing answers there: whoever called would fail.
    let aws = aws("http://127.0.0.1:9");
    let blobs = aws.blobs("nowhere");
    let error = blobs.head(&key("a")).await.unwrap_err();
    assert!(matches!(error, cloud::Error::Unavailable(_)), "{error:?}");
    let error = blobs.put(&key("a"), "x".into(), only(PutCondition::IfAbsent)).await.unwrap_err();
    assert!(matches!(error, cloud::Error::Unclear(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises_of_blobs() {
    let emulator = Emulator::shared_moto();
    let bucket = bucket(emulator.endpoint()).await;
    conformance::blobs_without_parts(Arc::new(aws(emulator.endpoint()).blobs(bucket))).await;
}
