//! The adapters against emulators of AWS that strangers wrote, over HTTP. What a stranger does wrong is listed in
//! `docs/emulators.md`; the adapters never bend to it.
#![allow(clippy::unwrap_used)]

mod builds;
mod cable;
mod dynamodb;
mod dynamodb_faults;
mod eventbridge;
mod logs;
mod s3;
mod sockets;
mod sqs;
mod ssm;
mod stacks;
mod streams;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use cloud::{Entropy, SystemClock, SystemEntropy};
use cloud_aws::Aws;
use testkit::emulator::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};

/// Calls to `endpoint` as an emulator expects them; nothing comes from the environment.
pub fn config(endpoint: &str) -> SdkConfig {
    config_as(endpoint, REGION, Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
}

pub fn config_as(endpoint: &str, region: &str, credentials: Credentials) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .build()
}

/// The adapters, as they are in production but for where they call.
pub fn aws(endpoint: &str) -> Aws {
    Aws::with(config(endpoint))
}

/// A name that no other test uses.
pub fn fresh(what: &str) -> String {
    let entropy: &dyn Entropy = &SystemEntropy;
    format!("{what}-{}", entropy.ulid(cloud::Clock::now(&SystemClock))).to_lowercase()
}
