//! The WebSocket functions on Lambda: `AREA` says which of them this is.

use std::path::PathBuf;
use std::sync::Arc;

use cloud::Grants;
use cloud_aws::{Aws, PortsSettings};
use domain::StarterSource;
use function::{App, Config, Places, trace};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use websocket::Area;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    trace::init(config.log_level, trace::Format::Json);
    let aws = Aws::on_first_use();
    let mut ports = aws.ports(&PortsSettings {
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
    if let Some(name) = &config.event_bus_name {
        ports.bus = Some(Arc::new(aws.event_bus(name)));
    }
    let area: Area = config.area.as_deref().unwrap_or_default().parse()?;
    let places = Places {
        starters: StarterSource::Blobs,
        pack_cache: PathBuf::from("/tmp/packs"),
        pack_cache_max: 256 * 1024 * 1024,
    };
    let app = &App::assemble(config, ports, places, Grants::only(area.access()))?;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        Ok::<_, Error>(area.answer(app, event.payload).await)
    }))
    .await
}
