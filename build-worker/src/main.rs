//! The build worker on Lambda.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use build_worker::Worker;
use build_worker::build::{Builder, BuilderSettings};
use cloud::Grants;
use cloud_aws::{Aws, PortsSettings};
use domain::StarterSource;
use function::{App, Config, Places, trace};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use sandbox::{Sandbox, SandboxSettings, Tools, Unavailable};
use serde_json::Value;

/// Ends a job before Lambda ends the function (15 minutes).
const JOB_MAX: Duration = Duration::from_secs(14 * 60);
/// Where programs lie in Lambda and its layers.
const SEARCH_PATH: &str = "/opt/bin:/var/lang/bin:/usr/local/bin:/usr/bin:/bin";

fn main() -> Result<(), Error> {
    // The sandbox starts this program again as the first process inside, which has a runtime of its own.
    sandbox::run_if_init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    let config = Config::from_environment()?;
    trace::init(config.log_level, trace::Format::Json);
    let aws = Aws::on_first_use();
    let ports = aws.ports(&PortsSettings {
        table: config.table_name.clone(),
        bucket: config.data_bucket.clone(),
        jobs_queue_url: config.job_queue_url.to_string(),
        tail_queue_url: config.tail_queue_url.to_string(),
        socket_management_url: config.socket_management_url.to_string(),
        parameter_prefix: config.parameter_prefix.clone(),
        stack_role_arn: config.stack_role_arn.clone().unwrap_or_default(),
        stack_boundary_arn: config.stack_boundary_arn.clone().unwrap_or_default(),
        stack_deploy_role_arn: config.stack_deploy_role_arn.clone(),
    });
    let places = Places {
        starters: StarterSource::Blobs,
        pack_cache: PathBuf::from("/tmp/packs"),
        pack_cache_max: 256 * 1024 * 1024,
    };
    let app = App::assemble(config, ports, places, Grants::only(build_worker::ACCESS))?;
    let worker = &Worker {
        domain: app.domain,
        builder: builder().map_err(|unavailable| unavailable.to_string()),
        work: PathBuf::from("/tmp"),
        job_max: JOB_MAX,
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Error>(build_worker::handle(worker, event.payload).await)
    }))
    .await
}

/// What Lambda lets a function use to keep users' code apart from its own.
fn builder() -> Result<Builder, Unavailable> {
    let sandbox = Sandbox::detect(SandboxSettings {
        init_program: PathBuf::from("/proc/self/exe").canonicalize().unwrap_or_default(),
        ..SandboxSettings::default()
    })?;
    Ok(Builder::new(BuilderSettings {
        sandbox,
        tools: Tools::new(SEARCH_PATH),
        cache: PathBuf::from("/tmp/cache"),
        environment: BTreeMap::new(),
    }))
}
