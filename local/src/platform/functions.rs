//! The platform's own functions, in this process: the same libraries that the deployed binaries are made of, driven
//! by the same JSON.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use bytes::Bytes;
use function::as_routed;
use futures::StreamExt;
use http::HeaderValue;
use http::header::SET_COOKIE;
use lambda_http::lambda_runtime::StreamResponse;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, Service as _, StreamAdapter};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tower::ServiceExt;
use tower::util::MapRequest;

use crate::functions::{Functions, InvokeError, StreamedReply, check_event, check_reply};

/// Invocations of one function at a time, where the template does not reserve a number.
const CONCURRENCY: u32 = 1_000;

type Running<T> = Pin<Box<dyn Future<Output = Result<T, InvokeError>> + Send>>;

/// A function's code: how it answers follows from how it was built, not from who calls.
#[derive(Clone)]
pub enum Handler {
    Collected(Arc<dyn Fn(Bytes) -> Running<Bytes> + Send + Sync>),
    Streamed(Arc<dyn Fn(Bytes) -> Running<StreamedReply> + Send + Sync>),
}

struct Entry {
    handler: Handler,
    timeout: Duration,
    places: Arc<Semaphore>,
}

/// In-process functions by logical id.
#[derive(Default)]
pub struct InProcess {
    entries: HashMap<String, Arc<Entry>>,
}

impl InProcess {
    pub fn insert(&mut self, function: &sam::Function, handler: Handler) {
        let places = function.reserved_concurrency.unwrap_or(CONCURRENCY).max(1);
        let entry = Entry {
            handler,
            timeout: Duration::from_secs(function.timeout_s.into()),
            places: Arc::new(Semaphore::new(places as usize)),
        };
        self.entries.insert(function.logical_id.clone(), Arc::new(entry));
    }
}

impl InProcess {
    fn entry(&self, function: &str) -> Result<Arc<Entry>, InvokeError> {
        let entry = self.entries.get(function).cloned();
        entry.ok_or_else(|| InvokeError::Unavailable(format!("there is no function `{function}`")))
    }
}

/// A function runs on when its caller leaves, as Lambda's do, up to its own timeout. A panic fails one invocation. The
/// place is free again when the answer is dropped.
async fn run<T: Send + 'static>(
    entry: &Entry,
    answer: impl FnOnce() -> Running<T> + Send + 'static,
) -> Result<(T, OwnedSemaphorePermit), InvokeError> {
    let (places, timeout) = (Arc::clone(&entry.places), entry.timeout);
    let running = tokio::spawn(async move {
        let place = places.try_acquire_owned().map_err(|_| InvokeError::Throttled)?;
        let answer = tokio::time::timeout(timeout, answer()).await;
        Ok((answer.unwrap_or(Err(InvokeError::TimedOut))?, place))
    });
    match running.await {
        Ok(answer) => answer,
        Err(error) => Err(InvokeError::Unhandled { message: format!("the function ended early: {error}") }),
    }
}

#[async_trait::async_trait]
impl Functions for InProcess {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        check_event(&event)?;
        let entry = self.entry(function)?;
        let Handler::Collected(handler) = entry.handler.clone() else {
            let message = format!("`{function}` streams its answers, and was asked for one that is collected");
            return Err(InvokeError::Unhandled { message });
        };
        check_reply(run(&entry, move || handler(event)).await?.0)
    }

    async fn invoke_streamed(&self, function: &str, event: Bytes) -> Result<StreamedReply, InvokeError> {
        check_event(&event)?;
        let entry = self.entry(function)?;
        let Handler::Streamed(handler) = entry.handler.clone() else {
            let message = format!("`{function}` collects its answers, and was asked for one that is streamed");
            return Err(InvokeError::Unhandled { message });
        };
        let deadline = Instant::now() + entry.timeout;
        let (reply, place) = run(&entry, move || handler(event)).await?;
        let body = futures::stream::unfold((reply.body, Some(place)), move |(mut body, place)| async move {
            place.as_ref()?;
            match tokio::time::timeout_at(deadline, body.next()).await {
                Ok(part) => part.map(|part| (part, (body, place))),
                Err(_) => Some((Err(io::Error::other("the function ran longer than its timeout")), (body, None))),
            }
        });
        Ok(StreamedReply { body: body.boxed(), ..reply })
    }
}

type Service = MapRequest<Router, fn(lambda_http::Request) -> Request<lambda_http::Body>>;

/// A function of routes, driven as `lambda_http::run_with_streaming_response` drives it.
pub fn streaming_http_handler(router: Router) -> Handler {
    Handler::Streamed(Arc::new(move |event| {
        let service: Service = router.clone().map_request(as_routed);
        Box::pin(async move {
            let payload: LambdaRequest = serde_json::from_slice(&event).map_err(unhandled)?;
            let answer = StreamAdapter::from(service).call(LambdaEvent::new(payload, Context::default()));
            let Ok(StreamResponse { metadata_prelude: prelude, stream }) = answer.await;
            let mut headers = prelude.headers;
            for cookie in prelude.cookies {
                let value = HeaderValue::from_str(&cookie)
                    .map_err(|error| InvokeError::Unhandled { message: error.to_string() })?;
                headers.append(SET_COOKIE, value);
            }
            let body = stream.map(|part| part.map_err(io::Error::other)).boxed();
            Ok(StreamedReply { status: prelude.status_code, headers, body })
        })
    }))
}

/// A function of routes, driven as `lambda_http::run` drives it.
pub fn http_handler(router: Router) -> Handler {
    Handler::Collected(Arc::new(move |event| {
        let service: Service = router.clone().map_request(as_routed);
        Box::pin(async move {
            let payload: LambdaRequest = serde_json::from_slice(&event).map_err(unhandled)?;
            let answer = Adapter::from(service).call(LambdaEvent::new(payload, Context::default()));
            let Ok(reply) = answer.await;
            serde_json::to_vec(&reply).map(Bytes::from).map_err(unhandled)
        })
    }))
}

/// A function of JSON in and JSON out, driven as `lambda_runtime::run` drives it.
pub fn event_handler<F, A>(handle: F) -> Handler
where
    F: Fn(Value) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Value, String>> + Send + 'static,
{
    Handler::Collected(Arc::new(move |event| {
        let answer = serde_json::from_slice(&event).map(&handle);
        Box::pin(async move {
            let answer = answer.map_err(unhandled)?.await.map_err(|message| InvokeError::Unhandled { message })?;
            serde_json::to_vec(&answer).map(Bytes::from).map_err(unhandled)
        })
    }))
}

fn unhandled(error: serde_json::Error) -> InvokeError {
    InvokeError::Unhandled { message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn function(timeout_s: u32, reserved: Option<u32>) -> sam::Function {
        let template =
            sam::Template::from_json(json!({ "Transform": "AWS::Serverless-2016-10-31", "Resources": { "Fn": {
            "Type": "AWS::Serverless::Function",
            "Properties": { "Runtime": "provided.al2023", "Handler": "bootstrap", "CodeUri": "x" } } } }));
        let names = sam::AccountNames {
            stack: "s".into(),
            region: "r".into(),
            account: "000000000000".into(),
            queue_endpoint: "http://q".into(),
            site_host: "h".into(),
            site_scheme: "http".into(),
        };
        let app = sam::resolve(&template, &sam::Resolve { parameters: Default::default(), names: &names }).unwrap();
        sam::Function { timeout_s, reserved_concurrency: reserved, ..app.functions["Fn"].clone() }
    }

    fn one(function: &sam::Function, handler: Handler) -> InProcess {
        let mut all = InProcess::default();
        all.insert(function, handler);
        all
    }

    #[tokio::test]
    async fn routes_see_the_path_without_the_stage_and_the_query() {
        let router = Router::new().route(
            "/items/{item}",
            axum::routing::get(|uri: http::Uri, axum::extract::Path(item): axum::extract::Path<String>| async move {
                format!("{uri} {item}")
            }),
        );
        let functions = one(&function(3, None), http_handler(router));
        let event = json!({ "resource": "/items/{item}", "path": "/items/a%20b", "httpMethod": "GET",
            "headers": { "Host": "localhost" }, "multiValueQueryStringParameters": { "q": ["1 2"] },
            "requestContext": { "stage": "dev", "httpMethod": "GET" } });
        let reply: Value =
            serde_json::from_slice(&functions.invoke("Fn", event.to_string().into()).await.unwrap()).unwrap();
        assert_eq!((reply["statusCode"].as_u64(), reply["body"].as_str()), (Some(200), Some("/items/a%20b?q=1+2 a b")));
    }

    #[tokio::test]
    async fn a_streamed_answer_may_pass_six_megabytes_and_is_asked_for_as_one() {
        let router = Router::new().route(
            "/large",
            axum::routing::get(|| async {
                let parts = futures::stream::iter((0..10).map(|_| Ok::<_, io::Error>(Bytes::from(vec![7; 1 << 20]))));
                ([("set-cookie", "a=1"), ("x-part", "1")], axum::body::Body::from_stream(parts))
            }),
        );
        let functions = one(&function(3, Some(1)), streaming_http_handler(router));
        let event = json!({ "resource": "/large", "path": "/large", "httpMethod": "GET",
            "headers": { "Host": "localhost" }, "requestContext": { "stage": "dev", "httpMethod": "GET" } });
        let event = Bytes::from(event.to_string());
        assert!(matches!(functions.invoke("Fn", event.clone()).await, Err(InvokeError::Unhandled { .. })));
        let mut reply = functions.invoke_streamed("Fn", event.clone()).await.unwrap();
        assert_eq!(
            (reply.status.as_u16(), &reply.headers["x-part"], &reply.headers["set-cookie"]),
            (200, &HeaderValue::from_static("1"), &HeaderValue::from_static("a=1"))
        );
        assert!(matches!(functions.invoke_streamed("Fn", event.clone()).await, Err(InvokeError::Throttled)));
        let mut bytes = 0;
        while let Some(part) = reply.body.next().await {
            bytes += part.unwrap().len();
        }
        assert_eq!(bytes, 10 << 20);
        drop(reply);
        assert!(functions.invoke_streamed("Fn", event).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_streamed_answer_breaks_off_at_the_functions_timeout() {
        let router = Router::new().route(
            "/slow",
            axum::routing::get(|| async {
                let first = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"a"))]);
                axum::body::Body::from_stream(first.chain(futures::stream::pending()))
            }),
        );
        let functions = one(&function(3, None), streaming_http_handler(router));
        let event = json!({ "resource": "/slow", "path": "/slow", "httpMethod": "GET",
            "headers": { "Host": "localhost" }, "requestContext": { "stage": "dev", "httpMethod": "GET" } });
        let mut reply = functions.invoke_streamed("Fn", event.to_string().into()).await.unwrap();
        assert_eq!(reply.body.next().await.unwrap().unwrap(), "a");
        assert!(reply.body.next().await.unwrap().is_err());
        assert!(reply.body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_panic_fails_one_invocation() {
        let handler = event_handler(|event: Value| async move {
            assert!(event != json!("panic"), "as asked");
            Ok(event)
        });
        let functions = one(&function(3, None), handler);
        let failed = functions.invoke("Fn", "\"panic\"".into()).await;
        assert!(matches!(failed, Err(InvokeError::Unhandled { .. })), "{failed:?}");
        assert_eq!(functions.invoke("Fn", "1".into()).await.unwrap(), "1");
        assert!(matches!(functions.invoke("Other", "1".into()).await, Err(InvokeError::Unavailable(_))));
        assert!(matches!(functions.invoke("Fn", "{".into()).await, Err(InvokeError::Unhandled { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn the_templates_timeout_and_concurrency_hold() {
        let handler = event_handler(|_| async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Value::Null)
        });
        let functions = Arc::new(one(&function(3, Some(1)), handler));
        let first = tokio::spawn({
            let functions = Arc::clone(&functions);
            async move { functions.invoke("Fn", "1".into()).await }
        });
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(matches!(functions.invoke("Fn", "1".into()).await, Err(InvokeError::Throttled)));
        assert!(matches!(first.await.unwrap(), Err(InvokeError::TimedOut)));
    }

    #[tokio::test]
    async fn payloads_over_six_megabytes_are_refused_each_way() {
        let functions = one(&function(3, None), event_handler(|_| async { Ok(json!("x".repeat(7 << 20))) }));
        assert!(matches!(functions.invoke("Fn", "1".into()).await, Err(InvokeError::ReplyTooLarge)));
        let large = format!("\"{}\"", "x".repeat(6 << 20));
        assert!(matches!(functions.invoke("Fn", large.into()).await, Err(InvokeError::EventTooLarge)));
    }
}
