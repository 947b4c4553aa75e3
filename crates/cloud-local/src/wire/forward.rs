//! Passing a verified call on to another endpoint of this machine.

use bytes::Bytes;
use cloud::{Error, Result};
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use s3s::Body;

use super::dispatch::{Call, HOP_BY_HOP};
use super::reply::{Answer, Failure};

/// An answer from there (bytes).
const ANSWER_MAX: usize = 16 * 1024 * 1024;
const ANSWER_WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// An AWS emulator that the machine's owner runs and names; it gets the calls to services that are not served here.
/// It knows no scopes: what it keeps is shared by all stacks.
#[derive(Clone, Debug)]
pub struct Emulator {
    there: Remote,
}

impl Emulator {
    /// `endpoint` is `http://host:port`, without a path.
    pub fn new(endpoint: &str) -> Result<Self> {
        let refused = || Error::Invalid(format!("the emulator's endpoint `{endpoint}` is not http://host:port"));
        let uri: Uri = endpoint.parse().map_err(|_| refused())?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|_| plain).cloned().ok_or_else(refused)?;
        Ok(Self { there: Remote::new(authority) })
    }

    pub(super) async fn answer(&self, call: &Call) -> Answer<Response<Body>> {
        self.there.pass_on(call).await
    }
}

/// Another HTTP server; connections are kept and shared.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    authority: Authority,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Remote {
    pub fn new(authority: Authority) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(HttpConnector::new());
        Self { authority, client }
    }

    /// The call as it came, but for its connection; the answer as it is, but for its own.
    pub async fn pass_on(&self, call: &Call) -> Answer<Response<Body>> {
        let path = call.parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(call.parts.method.clone())
            .uri(self.uri(path)?)
            .body(Full::new(call.body.clone()))
            .map_err(|error| unreachable_there(&error))?;
        *request.headers_mut() = call.parts.headers.clone();
        for name in HOP_BY_HOP.iter().chain([&header::HOST, &header::CONTENT_LENGTH, &header::EXPECT]) {
            request.headers_mut().remove(name);
        }
        let (mut parts, body) = self.send(request).await?.into_parts();
        for name in HOP_BY_HOP {
            parts.headers.remove(name);
        }
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    /// Sends a request whose URI names this server; reads the whole answer.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Answer<Response<Bytes>> {
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| unreachable_there(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await.map_err(|error| unreachable_there(&*error))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        match tokio::time::timeout(ANSWER_WAIT, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(unavailable("the service behind this endpoint did not answer in time")),
        }
    }

    pub fn uri(&self, path: &str) -> Answer<Uri> {
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone()).path_and_query(path);
        uri.build().map_err(|error| unreachable_there(&error))
    }
}

fn unreachable_there(error: &(dyn std::error::Error + 'static)) -> Failure {
    tracing::warn!(error, "a call could not be passed on");
    unavailable("the service behind this endpoint cannot be reached")
}

fn unavailable(message: &str) -> Failure {
    Failure::new("ServiceUnavailableException", message).with_status(StatusCode::SERVICE_UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emulator_is_named_by_host_and_port_alone() {
        assert!(Emulator::new("http://127.0.0.1:4566").is_ok());
        for bad in ["127.0.0.1:4566", "https://127.0.0.1", "http://127.0.0.1/x", "http://a/?b", ""] {
            assert!(Emulator::new(bad).is_err(), "{bad}");
        }
    }
}
