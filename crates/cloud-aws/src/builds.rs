//! Calls of a function in tenant isolation mode, with a streamed answer.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::primitives::{Blob, event_stream::EventReceiver};
use aws_sdk_lambda::types::InvokeWithResponseStreamResponseEvent;
use aws_sdk_lambda::types::InvokeWithResponseStreamResponseEvent::{InvokeComplete, PayloadChunk};
use aws_sdk_lambda::types::error::InvokeWithResponseStreamResponseEventError;
use bytes::Bytes;
use cloud::limits::FUNCTION_PAYLOAD_MAX;
use cloud::{Error, Result};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::{Aws, failure};

/// No function answers later.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// A function that gives every tenant execution environments of its own (`TenancyConfig: PER_TENANT`).
pub struct TenantFunction {
    client: aws_sdk_lambda::Client,
    name: String,
}

impl Aws {
    /// The function with that name or ARN.
    pub fn tenant_function(&self, name: &str) -> TenantFunction {
        TenantFunction { client: aws_sdk_lambda::Client::new(self.config()), name: name.to_owned() }
    }
}

type Events = EventReceiver<InvokeWithResponseStreamResponseEvent, InvokeWithResponseStreamResponseEventError>;

impl TenantFunction {
    /// Invokes it once, in an environment that only `tenant` has been in. The answer comes in parts as the function
    /// writes them; its last is `Error::Invalid` when the function ended with an error, with what Lambda says of it.
    pub async fn invoke(&self, tenant: &str, payload: Bytes) -> Result<BoxStream<'static, Result<Bytes>>> {
        if payload.len() > FUNCTION_PAYLOAD_MAX {
            let (actual, limit) = (payload.len() as u64, FUNCTION_PAYLOAD_MAX as u64);
            return Err(Error::TooLarge { what: "an event".into(), actual, limit });
        }
        // What it does may not be done twice at once, and it may say nothing for minutes.
        let patient = aws_sdk_lambda::config::Builder::new()
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(TimeoutConfig::builder().read_timeout(ANSWER_TIMEOUT).build());
        let what = format!("invoking `{}`", self.name);
        let answer = self
            .client
            .invoke_with_response_stream()
            .function_name(&self.name)
            .tenant_id(tenant)
            .payload(Blob::new(payload))
            .customize()
            .config_override(patient)
            .send()
            .await
            .map_err(|error| failure(what.clone(), error))?;
        Ok(parts(answer.event_stream, what).boxed())
    }
}

fn parts(events: Events, what: String) -> impl futures::Stream<Item = Result<Bytes>> + Send {
    futures::stream::unfold((Some(events), what), async |(events, what)| {
        let mut events = events?;
        loop {
            let part = match events.recv().await {
                Ok(Some(PayloadChunk(chunk))) => {
                    let part = chunk.payload.map(Blob::into_inner).unwrap_or_default();
                    return Some((Ok(Bytes::from(part)), (Some(events), what)));
                }
                Ok(Some(InvokeComplete(end))) => {
                    let code = end.error_code()?;
                    let details = end.error_details().unwrap_or_default();
                    Err(Error::Invalid(format!("{code} {details}").trim().to_owned()))
                }
                // Something new, which this SDK does not know yet.
                Ok(Some(_)) => continue,
                Ok(None) => return None,
                Err(error) => Err(failure(what.clone(), error)),
            };
            return Some((part, (None, what)));
        }
    })
}
