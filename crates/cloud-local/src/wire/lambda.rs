//! Lambda: Invoke, and what functions there are (REST, 2015-03-31).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cloud::limits::{FUNCTION_EVENT_MAX, FUNCTION_PAYLOAD_MAX};
use cloud::{FunctionView, Invocation, Invoke, Stacks};
use http::header::HeaderValue;
use http::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use s3s::Body;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::ACCOUNT_ID;
use super::dispatch::Call;
use super::reply::{Answer, Failure, json_response, response};
use crate::access_keys::Scope;

/// Asynchronous invocations that run or wait at a time.
const EVENTS_MAX: usize = 256;
/// How often an asynchronous invocation that fails is tried again (Lambda's default).
const EVENT_RETRIES: u32 = 2;
const RETRY_PAUSE: Duration = Duration::from_secs(5);
const ABSENT: &str = "ResourceNotFoundException";

pub(super) struct Lambda {
    stacks: Arc<dyn Stacks>,
    events: Arc<Semaphore>,
}

impl Lambda {
    pub fn new(stacks: Arc<dyn Stacks>) -> Self {
        Self { stacks, events: Arc::new(Semaphore::new(EVENTS_MAX)) }
    }

    pub async fn answer(&self, call: &Call) -> Answer<Response<Body>> {
        let path = call.parts.uri.path();
        let below = path.strip_prefix("/2015-03-31/functions").unwrap_or("?");
        let below = below.strip_prefix('/').unwrap_or(below);
        let parts = below.split_once('/').unwrap_or((below, ""));
        match (&call.parts.method, parts) {
            (&Method::POST, (name, "invocations")) => self.invoke(call, &function_name(name)?).await,
            (&Method::GET, ("", "")) => self.list(call).await,
            (&Method::GET, (name, what @ ("" | "configuration"))) if name != "?" => {
                self.describe(call, &function_name(name)?, what == "configuration").await
            }
            (method, _) => {
                Err(Failure::unknown_operation(&format!("{method} {path}"), "Lambda")
                    .with_status(StatusCode::NOT_FOUND))
            }
        }
    }

    /// ListFunctions: all of the stack's in one page.
    async fn list(&self, call: &Call) -> Answer<Response<Body>> {
        let functions = self.functions(call).await?;
        let views: Vec<Value> = functions.iter().map(|function| configuration(function, &call.region)).collect();
        Ok(json_response(StatusCode::OK, &json!({"Functions": views})))
    }

    /// GetFunctionConfiguration, and GetFunction without the code.
    async fn describe(&self, call: &Call, name: &str, configuration_alone: bool) -> Answer<Response<Body>> {
        let functions = self.functions(call).await?;
        let function = functions.iter().find(|function| function.name == name).ok_or_else(|| absent(name))?;
        let view = configuration(function, &call.region);
        let body = if configuration_alone { view } else { json!({"Configuration": view}) };
        Ok(json_response(StatusCode::OK, &body))
    }

    async fn functions(&self, call: &Call) -> Answer<Vec<FunctionView>> {
        let Scope::Stack(stack) = &call.key.scope else { return Ok(Vec::new()) };
        let stack = self.stacks.describe(stack).await.map_err(port_failure)?;
        Ok(stack.map(|stack| stack.functions).unwrap_or_default())
    }

    async fn invoke(&self, call: &Call, function: &str) -> Answer<Response<Body>> {
        let absent = || absent(function);
        let Scope::Stack(stack) = &call.key.scope else { return Err(absent()) };
        let payload = payload(&call.body)?;
        let invoke = Invoke { stack: stack.clone(), function: function.to_owned(), payload };
        match call.header("x-amz-invocation-type").unwrap_or("RequestResponse") {
            "RequestResponse" => {
                let invocation = self.stacks.invoke(invoke).await.map_err(port_failure)?;
                Ok(reply(invocation, call.header("x-amz-log-type") == Some("Tail")))
            }
            "Event" => {
                self.exists(&invoke).await?.then_some(()).ok_or_else(absent)?;
                self.spawn(invoke)?;
                Ok(response(StatusCode::ACCEPTED, "application/json", Bytes::new()))
            }
            "DryRun" => {
                self.exists(&invoke).await?.then_some(()).ok_or_else(absent)?;
                Ok(response(StatusCode::NO_CONTENT, "application/json", Bytes::new()))
            }
            other => Err(Failure::new("InvalidParameterValueException", format!("InvocationType is `{other}`"))),
        }
    }

    async fn exists(&self, invoke: &Invoke) -> Answer<bool> {
        let stack = self.stacks.describe(&invoke.stack).await.map_err(port_failure)?;
        let named =
            |function: &FunctionView| function.name == invoke.function || function.logical_id == invoke.function;
        Ok(stack.is_some_and(|stack| stack.functions.iter().any(named)))
    }

    /// Runs an event later; it is lost when the platform stops before it ran.
    fn spawn(&self, invoke: Invoke) -> Answer<()> {
        if invoke.payload.len() > FUNCTION_EVENT_MAX {
            return Err(too_large(FUNCTION_EVENT_MAX));
        }
        let slot = self.events.clone().try_acquire_owned().map_err(|_| {
            Failure::new("TooManyRequestsException", "too many events wait for their function")
                .with_status(StatusCode::TOO_MANY_REQUESTS)
        })?;
        let stacks = self.stacks.clone();
        tokio::spawn(async move {
            let _slot = slot;
            for attempt in 0..=EVENT_RETRIES {
                match stacks.invoke(invoke.clone()).await {
                    Ok(invocation) if invocation.function_error.is_none() => return,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "an event invocation failed");
                    }
                }
                if attempt < EVENT_RETRIES {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        });
        Ok(())
    }
}

/// The name in `name`, `name:qualifier`, a partial or a whole ARN. Every qualifier means the deployed version.
fn function_name(raw: &str) -> Answer<String> {
    let refused = || Failure::new("InvalidParameterValueException", "the function name is malformed");
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| refused())?;
    let name = match decoded.split_once("function:") {
        Some((_, rest)) => rest,
        None => &decoded,
    };
    let name = name.split(':').next().unwrap_or_default();
    let fits =
        (1..=140).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if fits { Ok(name.to_owned()) } else { Err(refused()) }
}

fn payload(body: &Bytes) -> Answer<Bytes> {
    if body.len() > FUNCTION_PAYLOAD_MAX {
        return Err(too_large(FUNCTION_PAYLOAD_MAX));
    }
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => Ok(body.clone()),
        Err(error) => Err(Failure::new("InvalidRequestContentException", format!("the payload is not JSON: {error}"))),
    }
}

fn reply(invocation: Invocation, tail: bool) -> Response<Body> {
    let mut answer = response(StatusCode::OK, "application/json", invocation.payload);
    let headers = answer.headers_mut();
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    let mut set = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    };
    set("x-amz-function-error", invocation.function_error);
    set("x-amzn-requestid", invocation.report.map(|report| report.request_id));
    set("x-amz-log-result", tail.then(|| STANDARD.encode(&invocation.log_tail)));
    answer
}

fn configuration(function: &FunctionView, region: &str) -> Value {
    json!({
        "FunctionName": function.name,
        "FunctionArn": format!("arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{}", function.name),
        "Runtime": function.runtime,
        "Handler": function.handler,
        "MemorySize": function.memory_mb,
        "Timeout": function.timeout_s,
        "Version": "$LATEST",
        "State": "Active",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": function.log_group},
    })
}

fn absent(function: &str) -> Failure {
    Failure::new(ABSENT, format!("function not found: {function}")).with_status(StatusCode::NOT_FOUND)
}

fn too_large(limit: usize) -> Failure {
    Failure::new("RequestTooLargeException", format!("a payload has at most {limit} bytes"))
        .with_status(StatusCode::PAYLOAD_TOO_LARGE)
}

fn port_failure(error: cloud::Error) -> Failure {
    let absent = error.is_not_found();
    let failure = Failure::from_port(error, ABSENT);
    if absent { failure.with_status(StatusCode::NOT_FOUND) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_in_every_way_that_lambda_takes() {
        for raw in [
            "hello",
            "hello:live",
            "000000000000:function:hello",
            "arn:aws:lambda:eu-central-1:000000000000:function:hello:live",
            "arn%3Aaws%3Alambda%3Aeu-central-1%3A000000000000%3Afunction%3Ahello",
        ] {
            assert_eq!(function_name(raw).unwrap(), "hello", "{raw}");
        }
        for raw in ["", "../x", "a%2Fb", "%FF", "a b"] {
            assert!(function_name(raw).is_err(), "{raw}");
        }
    }
}
