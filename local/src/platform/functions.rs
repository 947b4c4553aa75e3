//! The platform's own functions, in this process: the same libraries that the deployed binaries are made of, driven
//! by the same JSON.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use bytes::Bytes;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Context, LambdaEvent, RequestExt, Service};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;
use tower::util::MapRequest;

use crate::functions::{Functions, InvokeError, check_event, check_reply};

/// Invocations of one function at a time, where the template does not reserve a number.
const CONCURRENCY: u32 = 1_000;

type Answer = Pin<Box<dyn Future<Output = Result<Bytes, InvokeError>> + Send>>;
type Handler = Arc<dyn Fn(Bytes) -> Answer + Send + Sync>;

struct Entry {
    handler: Handler,
    timeout: Duration,
    places: Semaphore,
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
            places: Semaphore::new(places as usize),
        };
        self.entries.insert(function.logical_id.clone(), Arc::new(entry));
    }
}

#[async_trait::async_trait]
impl Functions for InProcess {
    /// A function runs on when its caller leaves, as Lambda's do, up to its own timeout. A panic fails one invocation.
    async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        check_event(&event)?;
        let entry = self.entries.get(function).cloned();
        let entry = entry.ok_or_else(|| InvokeError::Unavailable(format!("there is no function `{function}`")))?;
        let running = tokio::spawn(async move {
            let _place = entry.places.try_acquire().map_err(|_| InvokeError::Throttled)?;
            let answer = tokio::time::timeout(entry.timeout, (entry.handler)(event)).await;
            answer.unwrap_or(Err(InvokeError::TimedOut))
        });
        match running.await {
            Ok(answer) => check_reply(answer?),
            Err(error) => Err(InvokeError::Unhandled { message: format!("the function ended early: {error}") }),
        }
    }
}

/// A function of routes, driven as `lambda_http::run` drives it.
pub fn http_handler(router: Router) -> Handler {
    Arc::new(move |event| {
        let service: MapRequest<Router, fn(lambda_http::Request) -> Request<lambda_http::Body>> =
            router.clone().map_request(without_stage);
        Box::pin(async move {
            let payload: LambdaRequest = serde_json::from_slice(&event).map_err(unhandled)?;
            let answer = Adapter::from(service).call(LambdaEvent::new(payload, Context::default()));
            let Ok(reply) = answer.await;
            serde_json::to_vec(&reply).map(Bytes::from).map_err(unhandled)
        })
    })
}

/// `lambda_http` puts the stage before the path; routes are written without it. The event itself has the path as sent.
fn without_stage(mut request: lambda_http::Request) -> lambda_http::Request {
    let path = request.raw_http_path();
    let query = request.uri().query();
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    if let Ok(uri) = target.parse() {
        *request.uri_mut() = uri;
    }
    request
}

/// A function of JSON in and JSON out, driven as `lambda_runtime::run` drives it.
pub fn event_handler<F, A>(handle: F) -> Handler
where
    F: Fn(Value) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Value, String>> + Send + 'static,
{
    Arc::new(move |event| {
        let answer = serde_json::from_slice(&event).map(&handle);
        Box::pin(async move {
            let answer = answer.map_err(unhandled)?.await.map_err(|message| InvokeError::Unhandled { message })?;
            serde_json::to_vec(&answer).map(Bytes::from).map_err(unhandled)
        })
    })
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
