//! The listener against raw bytes: framing, limits, slow clients (cases HTTP-003 to HTTP-017 of the house).
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::Incoming;
use local::http::{
    BodyError, BodyLimits, Door, Reply, ServerLimits, check_head, empty, full, problem, read_body, refuse, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Echoes bodies after the checks, and counts what reaches it.
#[derive(Default)]
struct Echo {
    seen: AtomicUsize,
}

#[async_trait::async_trait]
impl Door for Echo {
    async fn answer(&self, request: http::Request<Incoming>, _: SocketAddr) -> Reply {
        let (parts, body) = request.into_parts();
        let target = match check_head(&parts) {
            Ok(target) => target,
            Err(error) => return refuse(error, "r"),
        };
        if target.name() != "localhost" {
            return problem(StatusCode::MISDIRECTED_REQUEST, "misdirected", "Not here.", "r");
        }
        self.seen.fetch_add(1, Ordering::Relaxed);
        let declared = parts.headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let limits =
            BodyLimits { size: 100_000, idle: Duration::from_millis(200), total: Duration::from_millis(1_000) };
        match read_body(declared, body, limits).await {
            Ok(body) => {
                let mut reply = empty(StatusCode::OK);
                *reply.body_mut() = full(if body.is_empty() { Bytes::from_static(b"none") } else { body });
                reply
            }
            Err(BodyError::TooLarge) => problem(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "", "r"),
            Err(BodyError::Slow) => problem(StatusCode::REQUEST_TIMEOUT, "timeout", "", "r"),
            Err(BodyError::Broken) => problem(StatusCode::BAD_REQUEST, "validation", "", "r"),
        }
    }
}

struct Server {
    at: SocketAddr,
    echo: Arc<Echo>,
    shutdown: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn start(limits: ServerLimits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (echo, shutdown) = (Arc::new(Echo::default()), CancellationToken::new());
    let task = tokio::spawn(serve(listener, Arc::clone(&echo) as Arc<dyn Door>, limits, shutdown.clone()));
    Server { at, echo, shutdown, task }
}

impl Server {
    /// Sends bytes and reads until the server closes or falls silent.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut all = Vec::new();
        let mut part = [0; 4096];
        while let Ok(Ok(n @ 1..)) = tokio::time::timeout(Duration::from_millis(1_500), stream.read(&mut part)).await {
            all.extend_from_slice(&part[..n]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

fn responses(text: &str) -> usize {
    text.matches("HTTP/1.1 ").count()
}

const SECOND: &str = "GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let server = start(ServerLimits::default()).await;
    let text =
        server.raw(format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello{SECOND}")).await;
    assert_eq!(responses(&text), 2, "{text}");
    assert!(text.contains("hello") && text.ends_with("none"), "{text}");
}

#[tokio::test]
async fn smuggling_attempts_get_one_refusal_and_no_second_request() {
    let server = start(ServerLimits::default()).await;
    let cases = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "X: a\rb\r\n",
        "X: a\0b\r\n",
        "X : a\r\n",
        " folded: a\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Host: localhost\r\n",
    ];
    for case in cases {
        let before = server.echo.seen.load(Ordering::Relaxed);
        let text = server.raw(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{case}\r\n0\r\n\r\n{SECOND}")).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{case:?}: {text}");
        assert_eq!(responses(&text), 1, "{case:?}: {text}");
        assert_eq!(server.echo.seen.load(Ordering::Relaxed), before, "{case:?}");
    }
}

/// RFC 9112, 6.1: Transfer-Encoding wins, and the connection ends with the answer.
#[tokio::test]
async fn a_length_beside_chunks_ends_the_connection() {
    let server = start(ServerLimits::default()).await;
    for case in
        ["Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"]
    {
        let text = server.raw(format!("POST / HTTP/1.1\r\nHost: localhost\r\n{case}\r\n0\r\n\r\n{SECOND}")).await;
        assert_eq!(responses(&text), 1, "{case:?}: {text}");
        assert!(text.starts_with("HTTP/1.1 400 ") || text.contains("connection: close"), "{case:?}: {text}");
    }
}

#[tokio::test]
async fn targets_that_are_not_ours_are_refused() {
    let server = start(ServerLimits::default()).await;
    for (line, status) in [
        ("GET http://evil/ HTTP/1.1", "421"),
        ("GET evil:80 HTTP/1.1", "400"),
        ("CONNECT evil:80 HTTP/1.1", "405"),
        ("TRACE / HTTP/1.1", "405"),
        ("OPTIONS * HTTP/1.1", "400"),
        ("GET /a/../b HTTP/1.1", "400"),
        ("GET /%2e%2e/b HTTP/1.1", "400"),
        ("GET / HTTP/2.0", "400"),
        ("GET /\u{e9} HTTP/1.1", "400"),
        ("GET / x HTTP/1.1", "400"),
    ] {
        let text = server.raw(format!("{line}\r\nHost: localhost\r\n\r\n{SECOND}")).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {text}");
    }
    let text = server.raw("GET / HTTP/1.1\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    let text = server.raw("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(!text.contains(" 200 "), "{text}");
}

#[tokio::test]
async fn an_expected_body_over_the_limit_is_refused_before_it_is_sent() {
    let server = start(ServerLimits::default()).await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10737418240\r\nExpect: 100-continue\r\n\r\n";
    let text = server.raw(head).await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert_eq!(responses(&text), 1, "{text}");
    let text = server.raw("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: magic\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 417 "), "{text}");
}

#[tokio::test]
async fn heads_over_the_limit_are_431() {
    let server = start(ServerLimits::default()).await;
    let value = "x".repeat(10_240);
    let text = server.raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {value}\r\n\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    let many = "A: b\r\n".repeat(1_000);
    let text = server.raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 431 "), "{text}");
    let huge = "x".repeat(200_000);
    let text = server.raw(format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {huge}\r\n\r\n")).await;
    assert!(text.starts_with("HTTP/1.1 431 ") || text.is_empty(), "{text}");
}

#[tokio::test]
async fn slow_and_broken_bodies_end() {
    let server = start(ServerLimits { head_timeout: Duration::from_millis(300), ..ServerLimits::default() }).await;
    let text = server.raw("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe").await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    let text = server
        .raw("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n")
        .await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    // A head that never ends is cut.
    let text = server.raw("GET / HTTP/1.1\r\nHost: local").await;
    assert!(!text.contains(" 200 "), "{text}");
}

#[tokio::test]
async fn chunked_bodies_are_bounded_while_they_come() {
    let server = start(ServerLimits::default()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, "y".repeat(60_000));
    let text = server
        .raw(format!("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n"))
        .await;
    assert!(text.starts_with("HTTP/1.1 413 "), "{}", &text[..text.len().min(200)]);
    let text = server
        .raw("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .await;
    assert!(text.ends_with("abcde"), "{text}");
}

#[tokio::test]
async fn shutdown_lets_the_open_request_end() {
    let server = start(ServerLimits::default()).await;
    let mut stream = TcpStream::connect(server.at).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na").await.unwrap();
    while server.echo.seen.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown.cancel();
    stream.write_all(b"b").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.ends_with("ab"), "{text}");
    server.task.await.unwrap();
    assert!(TcpStream::connect(server.at).await.is_err());
}
