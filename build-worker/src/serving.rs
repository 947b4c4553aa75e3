//! The function that runs users' build steps. It speaks the Runtime API itself, in place of the language's own runtime.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use build_worker::apart::{BuildFunction, Said};
use build_worker::build::{Builder, BuilderSettings, Target};
use bytes::Bytes;
use futures::StreamExt;
use lambda_runtime::streaming::Response;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use sandbox::{Sandbox, SandboxSettings, Tools};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::transfers::HttpTransfers;

/// Where programs lie in Lambda's managed runtimes.
const SEARCH_PATH: &str = "/var/lang/bin:/usr/local/bin:/usr/bin:/bin";
/// Lines on their way at most.
const WAITING_MAX: usize = 1_024;

/// Answers orders, one after the other.
pub async fn serve() -> Result<(), Error> {
    // The role's keys are in this process's environment: build steps, which have the same user, do not get to read it.
    sandbox::hide_this_process()?;
    let function = Arc::new(BuildFunction {
        builder: builder()?,
        transfers: Arc::new(HttpTransfers::new()?),
        work: PathBuf::from("/tmp"),
    });
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let tenant = event.context.tenant_id.as_deref();
        if tenant.is_some_and(|tenant| event.payload["project"] != tenant) {
            return Err("the order is another tenant's".into());
        }
        let (said, lines) = mpsc::channel(WAITING_MAX);
        let function = function.clone();
        tokio::spawn(async move { function.answer(event.payload, said).await });
        let lines = futures::stream::unfold(lines, async |mut lines| Some((line(&lines.recv().await?), lines)));
        Ok::<_, Error>(Response::from(lines.boxed()))
    }))
    .await
}

fn line(said: &Said) -> Result<Bytes, Error> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    Ok(line.into())
}

/// The execution environment is a machine of one project.
fn builder() -> Result<Builder, Error> {
    let sandbox = Sandbox::detect(SandboxSettings {
        init_program: PathBuf::from("/proc/self/exe").canonicalize()?,
        own_machine: true,
        ..SandboxSettings::default()
    })?;
    Ok(Builder::new(BuilderSettings {
        sandbox,
        tools: Tools::new(SEARCH_PATH),
        cache: PathBuf::from("/tmp/cache"),
        environment: BTreeMap::new(),
        target: Target::Lambda,
    }))
}
