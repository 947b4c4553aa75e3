//! From a request to the service that answers it.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use s3s::Body;

use super::cors::Origins;
use super::reply::{Answer, Failure};
use super::sigv4::Claimed;
use super::{WireSettings, lambda, logs, parameters, queues, reply, s3, sts};
use crate::access_keys::Key;

/// The body of a call that is not S3's (bytes): DynamoDB takes the largest.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Such a body must be there after this.
const BODY_WAIT: Duration = Duration::from_secs(60);

pub(super) struct Endpoint {
    pub settings: WireSettings,
    pub queues: queues::Queues,
    pub s3: s3::Front,
    pub lambda: lambda::Lambda,
    origins: Origins,
}

/// A call whose signature holds.
pub(super) struct Call {
    pub key: Key,
    pub parts: Parts,
    pub body: Bytes,
    /// The region of the credential scope: ARNs in the answer carry it.
    pub region: String,
}

impl Endpoint {
    pub fn new(mut settings: WireSettings) -> Self {
        let origins = Origins::new(std::mem::take(&mut settings.origins));
        Self {
            queues: queues::Queues::new(settings.store.clone()),
            s3: s3::Front::new(),
            lambda: lambda::Lambda::new(settings.stacks.clone()),
            settings,
            origins,
        }
    }

    pub async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        if let Some(response) = self.origins.preflight(request.method(), request.headers()) {
            return response;
        }
        let (parts, body) = request.into_parts();
        let asked = parts.headers.clone();
        let mut response = self.route(parts, body).await;
        self.origins.mark(&asked, &mut response);
        response
    }

    async fn route(&self, parts: Parts, body: Incoming) -> Response<Body> {
        let json = parts.headers.contains_key("x-amz-target");
        let claimed = match Claimed::read(&parts) {
            Ok(claimed) => claimed,
            Err(refused) if json => return Failure::from(refused).json(),
            Err(refused) => return s3::refusal(refused).xml(false),
        };
        match claimed.scope.service.as_str() {
            "s3" => self.s3.answer(&self.settings.store, &self.settings.keys, claimed, parts, body).await,
            "sts" => match self.verified(claimed, parts, body).await {
                Ok(call) => sts::answer(&call),
                Err(failure) => failure.xml(true),
            },
            _ => {
                let service = claimed.scope.service.clone();
                let query = is_query(&parts.headers);
                let called = async { self.call(&service, self.verified(claimed, parts, body).await?).await };
                called.await.unwrap_or_else(|failure| if query { failure.xml(true) } else { failure.json() })
            }
        }
    }

    /// The services whose errors are JSON.
    async fn call(&self, service: &str, call: Call) -> Answer<Response<Body>> {
        match service {
            "logs" => Ok(reply::json_response(StatusCode::OK, &logs::answer(self, &call).await?)),
            "sqs" => Ok(queues::answer(self, &call).await),
            "ssm" => Ok(reply::json_response(StatusCode::OK, &parameters::answer(self, &call).await?)),
            "lambda" => self.lambda.answer(&call).await,
            "dynamodb" => self.settings.dynamodb.answer(&call).await,
            other => match &self.settings.emulator {
                Some(emulator) => emulator.answer(&call).await,
                None => Err(Failure::new(
                    "UnknownServiceException",
                    format!(
                        "`{other}` is not offered on this machine; its services are s3, dynamodb, sqs, logs, lambda, ssm \
                         and sts, and the setting for an emulator names where other calls go"
                    ),
                )
                .with_status(StatusCode::NOT_IMPLEMENTED)),
            },
        }
    }

    /// Reads the body and checks the signature over it. The cheap checks come before the body is read.
    async fn verified(&self, claimed: Claimed, parts: Parts, body: Incoming) -> Answer<Call> {
        claimed.check_head(&parts, self.settings.clock.now())?;
        let key = claimed.key(&self.settings.keys)?;
        let body = collect(body).await?;
        claimed.verify(&parts, &body, &key.secret_access_key)?;
        Ok(Call { key, parts, body, region: claimed.scope.region })
    }
}

impl Call {
    /// The operation that `x-amz-target` names after `prefix`.
    pub fn operation(&self, prefix: &str) -> Answer<&str> {
        let target = self.header("x-amz-target");
        target.and_then(|target| target.strip_prefix(prefix)).ok_or_else(|| {
            let target = target.unwrap_or("nothing");
            Failure::new("UnknownOperationException", format!("x-amz-target is `{target}`, not `{prefix}…`"))
        })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The query protocol: a form goes in, XML comes out.
fn is_query(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

async fn collect(body: Incoming) -> Answer<Bytes> {
    let too_large = || {
        Failure::new("RequestEntityTooLargeException", format!("a body has at most {BODY_MAX} bytes"))
            .with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    match tokio::time::timeout(BODY_WAIT, Limited::new(body, BODY_MAX).collect()).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Failure::new("IncompleteBody", format!("the body broke off: {error}"))),
        Err(_) => {
            Err(Failure::new("RequestTimeout", "the body did not arrive in time")
                .with_status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}

/// Headers that belong to one connection and are not passed on (RFC 9110, section 7.6.1).
pub(super) const HOP_BY_HOP: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
];
