//! The WebSocket functions on Lambda: `AREA` says which of them this is.

use std::path::PathBuf;

use cloud_aws::{Aws, PortsSettings};
use domain::StarterSource;
use function::{App, Config, Places, trace};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    trace::init(config.log_level, trace::Format::Json);
    let aws = Aws::connect().await;
    let ports = aws.ports(&PortsSettings {
        table: &config.table_name,
        bucket: &config.data_bucket,
        jobs_queue_url: config.job_queue_url.as_str(),
        tail_queue_url: config.tail_queue_url.as_str(),
        socket_management_url: config.socket_management_url.as_str(),
        parameter_prefix: &config.parameter_prefix,
        stack_role_arn: config.stack_role_arn.as_deref().unwrap_or_default(),
    });
    let area = config.area.clone().unwrap_or_default();
    let places = Places {
        starters: StarterSource::Blobs,
        pack_cache: PathBuf::from("/tmp/packs"),
        pack_cache_max: 256 * 1024 * 1024,
    };
    let app = &App::assemble(config, ports, places)?;
    match area.as_str() {
        "route" => {
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
                answer(websocket::route(app, event.payload).await)
            }))
            .await
        }
        "fan-out" => {
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
                answer(websocket::fan_out(app, event.payload).await)
            }))
            .await
        }
        "tail" => {
            lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
                answer(websocket::tail(app, event.payload).await)
            }))
            .await
        }
        other => Err(format!("AREA is route, fan-out or tail, not `{other}`").into()),
    }
}

fn answer(value: Value) -> Result<Value, Error> {
    Ok(value)
}
