//! Answers of the JSON, query and REST services.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use s3s::Body;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::sigv4::Refused;

/// An error as an AWS service tells it.
#[derive(Debug)]
pub(super) struct Failure {
    pub status: StatusCode,
    pub code: String,
    pub message: String,
}

pub(super) type Answer<T = Value> = Result<T, Failure>;

impl Failure {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.into(), message: message.into() }
    }

    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A port's error; `absent` is what the service calls a thing that does not exist.
    pub fn from_port(error: cloud::Error, absent: &str) -> Self {
        match error {
            cloud::Error::NotFound(_) => Self::new(absent, error.to_string()),
            cloud::Error::Invalid(_) | cloud::Error::TooLarge { .. } => {
                Self::new("InvalidParameterException", error.to_string())
            }
            cloud::Error::Unavailable(_) => {
                Self::new("ServiceUnavailableException", error.to_string()).with_status(StatusCode::SERVICE_UNAVAILABLE)
            }
            other => {
                tracing::error!(error = &other as &dyn std::error::Error, "a service call failed");
                Self::new("InternalFailure", "the call failed on this machine; its log says why")
                    .with_status(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    pub fn unknown_operation(operation: &str, service: &str) -> Self {
        Self::new("UnknownOperationException", format!("{service} on this machine does not offer `{operation}`"))
    }

    /// The answer in the JSON protocols.
    pub fn json(&self) -> Response<Body> {
        let mut response = json_response(self.status, &json!({"__type": self.code, "message": self.message}));
        let name = self.code.rsplit('#').next().unwrap_or_default();
        if let Ok(name) = name.parse() {
            response.headers_mut().insert("x-amzn-errortype", name);
        }
        response
    }

    /// The answer in XML, as S3 and the query protocol give it.
    pub fn xml(&self, query: bool) -> Response<Body> {
        let (code, message) = (escape(&self.code), escape(&self.message));
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let body = if query { format!("<ErrorResponse>{error}</ErrorResponse>") } else { error };
        xml_response(self.status, &body)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Missing => "MissingAuthenticationTokenException",
            Refused::Malformed(_) => "IncompleteSignatureException",
            Refused::Skewed | Refused::Mismatch | Refused::Unsigned(_) => "InvalidSignatureException",
            Refused::UnknownKey => "UnrecognizedClientException",
            Refused::ExpiredKey => "ExpiredTokenException",
        };
        Self::new(code, refused.to_string()).with_status(StatusCode::FORBIDDEN)
    }
}

/// Reads a JSON body as `T`.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Answer<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| Failure::new("SerializationException", error.to_string()))
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    response(status, "application/x-amz-json-1.1", Bytes::from(body.to_string()))
}

pub(super) fn xml_response(status: StatusCode, body: &str) -> Response<Body> {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    response(status, "application/xml", Bytes::from(body))
}

pub(super) fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

/// Text as XML character data.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
