//! The Lambda Runtime API of one instance (AWS Lambda Developer Guide, "Lambda runtime API"), on a unix socket.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use cloud::Millis;
use cloud::limits::{FUNCTION_PAYLOAD_MAX, FUNCTION_STREAM_MAX};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// An error object that a runtime posts (bytes).
const ERROR_MAX: usize = 256 * 1024;
const PREFIX: &str = "/2018-06-01/runtime";
/// After an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// One event, as `/next` hands it out.
#[derive(Clone, Debug)]
pub struct Event {
    pub request_id: String,
    pub payload: Bytes,
    pub deadline: Millis,
    pub arn: String,
    pub trace_id: String,
}

/// An event on its way to an instance.
pub struct Work {
    pub event: Event,
    /// Takes a streamed answer's body as it comes; without it the body is collected.
    pub stream: Option<mpsc::Sender<Bytes>>,
    pub answer: oneshot::Sender<Answer>,
}

/// What the runtime said about one event.
#[derive(Debug)]
pub enum Answer {
    Payload(Bytes),
    /// The body went to `Work::stream`.
    Streamed,
    /// The error object.
    Failed(Bytes),
}

/// How far the runtime is.
#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Starting,
    /// It has asked for its first event.
    Ready,
    /// What it posted to `/init/error`.
    Failed(Bytes),
}

pub struct RuntimeApi {
    work: tokio::sync::Mutex<mpsc::Receiver<Work>>,
    current: Mutex<Option<Work>>,
    phase: watch::Sender<Phase>,
}

/// The running end of a Runtime API; dropping it closes the socket.
pub struct Served {
    pub api: Arc<RuntimeApi>,
    pub work: mpsc::Sender<Work>,
    pub phase: watch::Receiver<Phase>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Listens on `socket`.
pub fn serve(socket: &Path) -> std::io::Result<Served> {
    let listener = UnixListener::bind(socket)?;
    let (work, receiver) = mpsc::channel(1);
    let (phase_sender, phase) = watch::channel(Phase::Starting);
    let api = Arc::new(RuntimeApi {
        work: tokio::sync::Mutex::new(receiver),
        current: Mutex::new(None),
        phase: phase_sender,
    });
    let serving = api.clone();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let Ok((connection, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            while connections.try_join_next().is_some() {}
            let api = serving.clone();
            connections.spawn(async move {
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(api.handle(request).await) }
                });
                // A runtime that hangs up is seen by its exit.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service)
                    .await;
            });
        }
    });
    Ok(Served { api, work, phase, task })
}

type Reply = Response<Full<Bytes>>;

fn status(status: StatusCode, kind: &str) -> Reply {
    let body = match status {
        StatusCode::ACCEPTED => json!({"status": "OK"}),
        _ => json!({"errorType": kind, "errorMessage": kind}),
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}

impl RuntimeApi {
    async fn handle(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().to_owned();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (request.method(), parts.as_slice()) {
            (&Method::GET, ["invocation", "next"]) => self.next().await,
            (&Method::POST, ["invocation", id, "response"]) => self.respond(id, request).await,
            (&Method::POST, ["invocation", id, "error"]) => self.fail(id, request).await,
            (&Method::POST, ["init", "error"]) => self.init_failed(request).await,
            _ => status(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    async fn next(&self) -> Reply {
        let _ = self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Starting;
            *phase = if first { Phase::Ready } else { phase.clone() };
            first
        });
        let Some(work) = self.work.lock().await.recv().await else {
            return status(StatusCode::INTERNAL_SERVER_ERROR, "Shutdown");
        };
        let response = Response::builder()
            .header("Content-Type", "application/json")
            .header("Lambda-Runtime-Aws-Request-Id", &work.event.request_id)
            .header("Lambda-Runtime-Deadline-Ms", work.event.deadline.0)
            .header("Lambda-Runtime-Invoked-Function-Arn", &work.event.arn)
            .header("Lambda-Runtime-Trace-Id", &work.event.trace_id)
            .body(Full::new(work.event.payload.clone()));
        *self.current() = Some(work);
        response.unwrap_or_else(|_| status(StatusCode::INTERNAL_SERVER_ERROR, "InvalidEvent"))
    }

    async fn respond(&self, id: &str, request: Request<Incoming>) -> Reply {
        let Some(work) = self.take(id) else { return status(StatusCode::BAD_REQUEST, "InvalidRequestID") };
        let streaming = header(request.headers(), "Lambda-Runtime-Function-Response-Mode") == Some("streaming");
        let limit = if streaming { FUNCTION_STREAM_MAX } else { FUNCTION_PAYLOAD_MAX };
        match read(request, limit, work.stream.as_ref().filter(|_| streaming)).await {
            Ok((_, Some(error))) => finish(work, Answer::Failed(error)),
            Ok((_, None)) if streaming && work.stream.is_some() => finish(work, Answer::Streamed),
            Ok((body, None)) => finish(work, Answer::Payload(body)),
            Err(ReadError::TooLarge) => {
                // The runtime gets to report the error itself.
                *self.current() = Some(work);
                return status(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
            }
            Err(ReadError::Broken) => {
                let error = json!({"errorType": "Runtime.TruncatedResponse", "errorMessage": "the response broke off"});
                finish(work, Answer::Failed(error.to_string().into()));
            }
        }
        status(StatusCode::ACCEPTED, "")
    }

    async fn fail(&self, id: &str, request: Request<Incoming>) -> Reply {
        let Some(work) = self.take(id) else { return status(StatusCode::BAD_REQUEST, "InvalidRequestID") };
        finish(work, Answer::Failed(error_object(request).await));
        status(StatusCode::ACCEPTED, "")
    }

    async fn init_failed(&self, request: Request<Incoming>) -> Reply {
        if *self.phase.borrow() != Phase::Starting {
            return status(StatusCode::FORBIDDEN, "InvalidStateTransition");
        }
        let error = error_object(request).await;
        self.phase.send_replace(Phase::Failed(error));
        status(StatusCode::ACCEPTED, "")
    }

    fn take(&self, id: &str) -> Option<Work> {
        self.current().take_if(|work| work.event.request_id == id)
    }

    /// True while an event is with the runtime and not answered.
    pub fn is_busy(&self) -> bool {
        self.current().is_some()
    }

    /// Gives the event up that the runtime has not answered; its waiter is told by the dropped sender.
    pub fn abandon(&self) {
        self.current().take();
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Work>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn finish(work: Work, answer: Answer) {
    // A caller that went away needs no answer.
    let _ = work.answer.send(answer);
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

enum ReadError {
    TooLarge,
    Broken,
}

/// The body, or nothing when it went to `stream`; and the error that a streaming runtime puts into trailers.
async fn read(
    request: Request<Incoming>,
    limit: usize,
    stream: Option<&mpsc::Sender<Bytes>>,
) -> Result<(Bytes, Option<Bytes>), ReadError> {
    let mut body = request.into_body();
    let (mut all, mut length, mut error) = (BytesMut::new(), 0, None);
    // Past this a collected answer cannot be given to anybody, streamed or not.
    let limit = if stream.is_some() { limit } else { limit.min(FUNCTION_PAYLOAD_MAX) };
    let mut too_large = false;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ReadError::Broken)?;
        match frame.into_data() {
            Ok(bytes) => {
                length += bytes.len();
                too_large |= length > limit;
                match stream {
                    // The rest is read, so that the runtime gets to see the answer.
                    _ if too_large => all.clear(),
                    Some(stream) => drop(stream.send(bytes).await),
                    None => all.extend_from_slice(&bytes),
                }
            }
            Err(frame) => error = frame.into_trailers().ok().as_ref().and_then(trailing_error),
        }
    }
    if too_large { Err(ReadError::TooLarge) } else { Ok((all.freeze(), error)) }
}

fn trailing_error(trailers: &HeaderMap) -> Option<Bytes> {
    let kind = header(trailers, "Lambda-Runtime-Function-Error-Type")?;
    let body = header(trailers, "Lambda-Runtime-Function-Error-Body").and_then(|body| STANDARD.decode(body).ok());
    Some(body.map_or_else(|| json!({"errorType": kind}).to_string().into(), Bytes::from))
}

async fn error_object(request: Request<Incoming>) -> Bytes {
    let kind = header(request.headers(), "Lambda-Runtime-Function-Error-Type").unwrap_or("Unhandled").to_owned();
    let body = http_body_util::Limited::new(request.into_body(), ERROR_MAX).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(_)) => body,
        _ => json!({"errorType": kind, "errorMessage": String::from_utf8_lossy(&body)}).to_string().into(),
    }
}
