//! `Sockets` on the API Gateway Management API.
//!
//! A message whose answer was lost is sent again: a client may get it twice, which the protocol above allows.

use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::Bytes;
use cloud::limits::SOCKET_MESSAGE_MAX;
use cloud::{ConnectionId, Error, Posted, Result, Sockets};

use crate::{Aws, failure};

/// The gateway answers when it has the message, not when the client has it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// All attempts together: one connection must not keep a worker of the fan-out for long.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

pub struct ApiGatewaySockets {
    aws: Aws,
    url: String,
    client: OnceLock<Client>,
}

impl Aws {
    /// `url` is the stage's management address, `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    pub fn sockets(&self, url: impl Into<String>) -> ApiGatewaySockets {
        ApiGatewaySockets { aws: self.clone(), url: url.into(), client: OnceLock::new() }
    }
}

impl ApiGatewaySockets {
    fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            let timeouts = TimeoutConfig::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .operation_timeout(CALL_TIMEOUT)
                .build();
            let config = Builder::from(self.aws.config()).endpoint_url(&self.url).timeout_config(timeouts);
            Client::from_conf(config.build())
        })
    }
}

#[async_trait]
impl Sockets for ApiGatewaySockets {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        check_size(message.len())?;
        let size = message.len();
        let request = self.client().post_to_connection().connection_id(&connection.0).data(Blob::new(message));
        match request.send().await {
            Ok(_) => Ok(Posted::Sent),
            Err(error) => refused(format!("posting to connection `{connection}`"), size, error).map(|()| Posted::Gone),
        }
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        match self.client().delete_connection().connection_id(&connection.0).send().await {
            Ok(_) => Ok(()),
            Err(error) => refused(format!("closing connection `{connection}`"), 0, error),
        }
    }
}

fn check_size(size: usize) -> Result<()> {
    if size > SOCKET_MESSAGE_MAX {
        return Err(too_large(size));
    }
    Ok(())
}

fn too_large(size: usize) -> Error {
    Error::TooLarge { what: "the message".into(), actual: size as u64, limit: SOCKET_MESSAGE_MAX as u64 }
}

/// Nothing when the connection is gone; otherwise the port's error.
fn refused<E, R>(what: String, size: usize, error: SdkError<E, R>) -> Result<()>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let said = error.as_service_error();
    let message = said.and_then(ProvideErrorMetadata::message).unwrap_or_default();
    match said.and_then(ProvideErrorMetadata::code).unwrap_or_default() {
        "GoneException" => Ok(()),
        // An id that the gateway never gives is nobody's.
        "BadRequestException" if message.contains("connectionId") => Ok(()),
        "PayloadTooLargeException" => Err(too_large(size)),
        "LimitExceededException" | "TooManyRequestsException" | "ThrottlingException" => Err(Error::Unavailable(what)),
        "ForbiddenException" | "AccessDeniedException" => Err(Error::other(
            format!("{what}: the function's role does not allow execute-api:ManageConnections on this API and stage"),
            error,
        )),
        "ExpiredTokenException" | "ExpiredToken" => {
            Err(Error::other(format!("{what}: the credentials have expired"), error))
        }
        _ => Err(failure(what, error)),
    }
}
