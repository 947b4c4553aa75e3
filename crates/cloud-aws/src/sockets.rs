//! `Sockets` on the API Gateway Management API.

use async_trait::async_trait;
use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::Builder;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use bytes::Bytes;
use cloud::{ConnectionId, Error, Posted, Result, Sockets};

use crate::{Aws, failure};

pub struct ApiGatewaySockets {
    client: Client,
}

impl Aws {
    /// `url` is the stage's management address, `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    pub fn sockets(&self, url: &str) -> ApiGatewaySockets {
        ApiGatewaySockets { client: Client::from_conf(Builder::from(self.config()).endpoint_url(url).build()) }
    }
}

#[async_trait]
impl Sockets for ApiGatewaySockets {
    async fn post(&self, connection: &ConnectionId, message: Bytes) -> Result<Posted> {
        let limit = cloud::limits::SOCKET_MESSAGE_MAX;
        if message.len() > limit {
            let actual = message.len() as u64;
            return Err(Error::TooLarge { what: "the message".into(), actual, limit: limit as u64 });
        }
        let outcome =
            self.client.post_to_connection().connection_id(&connection.0).data(Blob::new(message)).send().await;
        match outcome {
            Ok(_) => Ok(Posted::Sent),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_gone_exception()) => Ok(Posted::Gone),
            Err(error) => Err(failure(format!("posting to `{connection}`"), error)),
        }
    }

    async fn close(&self, connection: &ConnectionId) -> Result<()> {
        match self.client.delete_connection().connection_id(&connection.0).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_gone_exception()) => Ok(()),
            Err(error) => Err(failure(format!("closing `{connection}`"), error)),
        }
    }
}
