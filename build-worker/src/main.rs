//! The build worker on Lambda, and, with the area `build`, the functions that run users' build steps.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod serving;
mod transfers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use build_worker::apart::{self, AnswerStream, BuildFunctions, BuiltApart};
use build_worker::build::{Build, Family};
use build_worker::{ImportSettings, Worker};
use cloud::{Grants, Ports};
use cloud_aws::{Aws, PortsSettings};
use domain::StarterSource;
use function::{App, Config, Places, trace};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

/// Ends a job before Lambda ends the function (15 minutes).
const JOB_MAX: Duration = Duration::from_secs(14 * 60);
/// A build ends before its job does.
const BUILD_MAX: Duration = Duration::from_secs(13 * 60);

fn main() -> Result<(), Error> {
    // The sandbox starts this program again as the first process inside, which has a runtime of its own.
    sandbox::run_if_init();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    let config = Config::from_environment()?;
    trace::init(config.log_level, trace::Format::Json);
    match config.area.as_deref() {
        Some(apart::AREA) => serving::serve().await,
        _ => work(config).await,
    }
}

async fn work(config: Config) -> Result<(), Error> {
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
    let grants = Grants::only(build_worker::ACCESS);
    let builder = builder(&aws, &config, &ports.limited_to(grants));
    let app = App::assemble(config, ports, places, grants)?;
    let worker = &Worker {
        domain: app.domain,
        builder,
        work: PathBuf::from("/tmp"),
        job_max: JOB_MAX,
        imports: ImportSettings::default(),
    };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Error>(build_worker::handle(worker, event.payload).await)
    }))
    .await
}

/// Users' code never runs in this process's reach: here are the platform's credentials.
fn builder(aws: &Aws, config: &Config, ports: &Ports) -> Result<Arc<dyn Build>, String> {
    let unset = |name: &str| format!("builds run in functions apart, and {name} names none");
    let functions = Functions {
        aws: aws.clone(),
        node: config.build_node_function.clone().ok_or_else(|| unset("BUILD_NODE_FUNCTION"))?,
        python: config.build_python_function.clone().ok_or_else(|| unset("BUILD_PYTHON_FUNCTION"))?,
    };
    let blobs = ports.blobs.clone();
    Ok(Arc::new(BuiltApart { functions: Arc::new(functions), blobs, time: BUILD_MAX }))
}

/// The functions of the template.
struct Functions {
    aws: Aws,
    node: String,
    python: String,
}

#[async_trait::async_trait]
impl BuildFunctions for Functions {
    async fn call(&self, family: Family, tenant: &str, order: bytes::Bytes) -> cloud::Result<AnswerStream> {
        let name = match family {
            Family::Node => &self.node,
            Family::Python => &self.python,
        };
        self.aws.tenant_function(name).invoke(tenant, order).await
    }
}
