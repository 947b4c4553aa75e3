//! The REST functions on Lambda: `AREA` says what this one serves.

use std::path::PathBuf;

use api::Area;
use cloud::Grants;
use cloud_aws::{Aws, PortsSettings};
use domain::StarterSource;
use function::{App, Config, Places, as_routed, trace};
use lambda_http::Error;
use lambda_http::lambda_runtime::{self, LambdaEvent, service_fn};
use serde_json::Value;
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
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
    let area: Area = config.area.as_deref().unwrap_or_default().parse()?;
    let places = Places {
        starters: StarterSource::Blobs,
        pack_cache: PathBuf::from("/tmp/packs"),
        pack_cache_max: 256 * 1024 * 1024,
    };
    let app = App::assemble(config, ports, places, Grants::only(area.access()))?;
    if area == Area::Setup {
        let set_up = async |event: LambdaEvent<Value>| {
            // The text of the error is what the one who invoked it sees.
            api::set_up(&app, event.payload).await.map_err(|refusal| refusal.to_string())
        };
        return lambda_runtime::run(service_fn(set_up)).await;
    }
    if area == Area::Keys {
        let rotate = async |event: LambdaEvent<Value>| {
            api::rotate_keys(&app, event.payload).await.map_err(|refusal| refusal.to_string())
        };
        return lambda_runtime::run(service_fn(rotate)).await;
    }
    let streams = app.config.response_stream;
    let service = api::router(area, app).map_request(as_routed);
    match streams {
        true => lambda_http::run_with_streaming_response(service).await,
        false => lambda_http::run(service).await,
    }
}
