//! `Parameters` on SSM Parameter Store.

mod faults;

use std::sync::Arc;

use testkit::conformance;
use testkit::emulator::Emulator;

use crate::{aws, fresh};

#[tokio::test(flavor = "multi_thread")]
async fn ministack_keeps_the_promises_of_parameters() {
    let emulator = Emulator::shared_ministack();
    let prefix = format!("/{}", fresh("platform"));
    conformance::parameters(Arc::new(aws(emulator.endpoint()).parameters(prefix))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn moto_keeps_the_promises_of_parameters() {
    let emulator = Emulator::shared_moto();
    let prefix = format!("/{}", fresh("platform"));
    conformance::parameters(Arc::new(aws(emulator.endpoint()).parameters(prefix))).await;
}
