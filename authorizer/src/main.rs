//! The authorizer as a Lambda function.

use std::sync::Arc;

use authorizer::authorize;
use cloud::{SystemClock, SystemEntropy};
use function::{Config, trace};
use identity::{Identity, IdentitySettings};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let config = Config::from_environment()?;
    trace::init(config.log_level, trace::Format::Json);
    let aws = cloud_aws::Aws::connect().await;
    let identity = Identity::new(IdentitySettings {
        records: Arc::new(aws.records(&config.table_name)),
        parameters: Arc::new(aws.parameters(config.parameter_prefix)),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
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
