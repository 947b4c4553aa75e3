//! The authorizer as a Lambda function.

use authorizer::authorize;
use cloud::Grants;
use cloud_aws::{Aws, PortsSettings};
use function::{Config, trace};
use identity::{Identity, IdentitySettings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

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
    let ports = ports.limited_to(Grants::only(authorizer::ACCESS));
    let identity = Identity::new(IdentitySettings {
        records: ports.records,
        parameters: ports.parameters,
        clock: ports.clock,
        entropy: ports.entropy,
        issuer: config.issuer,
        audience: config.audience,
    });
    let identity = &identity;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        // The text of the error is what the gateway looks at.
        authorize(identity, event.payload).await.map_err(|refusal| refusal.to_string())
    }))
    .await
}
