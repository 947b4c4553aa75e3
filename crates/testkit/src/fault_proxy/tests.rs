use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// A service that answers `hello world` and counts its calls.
async fn service() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (endpoint, count) = (format!("http://{}", listener.local_addr().unwrap()), Arc::<AtomicUsize>::default());
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(Some(call)) = http::read_call(&mut stream).await {
                counted.fetch_add(1, Ordering::SeqCst);
                let told = [("x-body-length".to_owned(), call.body.len().to_string())];
                stream.write_all(&http::answer(200, &told, b"hello world")).await.unwrap();
            }
        }
    });
    (endpoint, count)
}

/// Everything that comes back for a POST of five bytes.
async fn post(endpoint: &str) -> String {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).await.unwrap();
    let call = "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Service.Act\r\nContent-Length: 5\r\n\r\n12345";
    stream.write_all(call.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A connection that breaks off is what some of these tests want.
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn a_call_without_a_rule_passes_whole() {
    let (upstream, count) = service().await;
    let proxy = FaultProxy::start(&upstream).await;
    let answer = post(proxy.endpoint()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nhello world"), "{answer}");
    assert!(answer.contains("x-body-length: 5"), "{answer}");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert_eq!(proxy.calls(|call| call.operation() == "Act" && call.target == "/a?b=c"), 1);
}

#[tokio::test]
async fn rules_count_the_calls_that_match() {
    let (upstream, count) = service().await;
    let proxy = FaultProxy::start(&upstream).await;
    proxy.inject(Rule::new(WireFault::json(400, "Throttled")).when(|call| call.method == "POST").nth(2).times(2));
    proxy.inject(Rule::new(WireFault::xml(503, "Never")).when(|call| call.method == "PUT"));
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(post(proxy.endpoint()).await.split(' ').nth(1).unwrap_or_default().to_owned());
    }
    assert_eq!(statuses, ["200", "400", "400", "200"]);
    assert_eq!((count.load(Ordering::SeqCst), proxy.calls(|_| true)), (2, 4));
}

#[tokio::test]
async fn what_is_lost_is_lost_on_the_side_that_was_named() {
    let (upstream, count) = service().await;
    let proxy = FaultProxy::start(&upstream).await;
    proxy.inject(Rule::new(WireFault::LoseCall));
    assert_eq!(post(proxy.endpoint()).await, "");
    assert_eq!(count.load(Ordering::SeqCst), 0);
    proxy.inject(Rule::new(WireFault::LoseAnswer));
    assert_eq!(post(proxy.endpoint()).await, "");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    proxy.inject(Rule::new(WireFault::BreakOff(5)));
    let answer = post(proxy.endpoint()).await;
    assert!(answer.contains("content-length: 11") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    proxy.inject(Rule::new(WireFault::Shorten(5)));
    let answer = post(proxy.endpoint()).await;
    assert!(answer.contains("content-length: 5") && answer.ends_with("\r\n\r\nhello"), "{answer}");
    proxy.inject(Rule::new(WireFault::Flip(0)));
    assert!(post(proxy.endpoint()).await.ends_with("iello world"));
}
