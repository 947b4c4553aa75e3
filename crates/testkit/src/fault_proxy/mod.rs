//! A proxy on the loopback in front of an emulator, which does to single calls what networks and services do: refuse,
//! forget to answer, answer late, break off.
//!
//! ```ignore
//! let proxy = FaultProxy::start(emulator.endpoint()).await;
//! proxy.inject(Rule::new(WireFault::xml(503, "SlowDown")).when(|call| call.method == "PUT").times(2));
//! proxy.inject(Rule::new(WireFault::LoseAnswer).when(|call| call.operation() == "SendMessage").nth(3));
//! // … calls to proxy.endpoint() …
//! assert_eq!(proxy.calls(|call| call.method == "PUT"), 3);
//! ```

mod http;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One call as it came.
#[derive(Clone, Debug)]
pub struct WireCall {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl WireCall {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The operation of a JSON protocol (`X-Amz-Target: AmazonSQS.SendMessage`); empty for REST.
    pub fn operation(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
    }
}

/// What happens to a call.
#[derive(Clone, Debug)]
pub enum WireFault {
    /// This answer, without the service hearing of the call.
    Answer { status: u16, headers: Vec<(String, String)>, body: Bytes },
    /// The connection breaks before the service hears of the call.
    LoseCall,
    /// The service acts; its answer is lost.
    LoseAnswer,
    /// The service hears of the call after this time.
    Delay(Duration),
    /// The connection breaks after so many bytes of the answer's body.
    BreakOff(usize),
    /// The answer's body ends after so many bytes, and its head says that this is all.
    Shorten(usize),
    /// One byte of the answer's body is another.
    Flip(usize),
}

impl WireFault {
    /// An error as S3 and the query protocol say it.
    pub fn xml(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>injected</Message></Error>"
        );
        Self::Answer { status, headers: vec![("content-type".into(), "application/xml".into())], body: body.into() }
    }

    /// An error as the JSON protocols say it.
    pub fn json(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"__type": code, "message": "injected"}).to_string();
        let headers = vec![
            ("content-type".into(), "application/x-amz-json-1.0".into()),
            ("x-amzn-errortype".into(), code.to_owned()),
        ];
        Self::Answer { status, headers, body: body.into() }
    }
}

type Matching = Arc<dyn Fn(&WireCall) -> bool + Send + Sync>;

/// Which calls meet a fault.
#[derive(Clone)]
pub struct Rule {
    fault: WireFault,
    matching: Matching,
    /// Matching calls that pass before the first one that does not.
    skip: usize,
    times: usize,
}

impl Rule {
    /// The next call.
    pub fn new(fault: WireFault) -> Self {
        Self { fault, matching: Arc::new(|_| true), skip: 0, times: 1 }
    }

    /// Only calls such as these count.
    pub fn when(mut self, matching: impl Fn(&WireCall) -> bool + Send + Sync + 'static) -> Self {
        self.matching = Arc::new(matching);
        self
    }

    /// The `number`th such call, counted from 1.
    pub fn nth(mut self, number: usize) -> Self {
        self.skip = number.saturating_sub(1);
        self
    }

    /// So many such calls in a row.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    /// Every such call from now on.
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }
}

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    seen: Vec<WireCall>,
}

impl State {
    /// Notes the call; the answer is the fault of the first rule that is due.
    fn meet(&mut self, call: &WireCall) -> Option<WireFault> {
        self.seen.push(call.clone());
        let mut found = None;
        for rule in &mut self.rules {
            if rule.times == 0 || !(rule.matching)(call) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if found.is_none() {
                rule.times = rule.times.saturating_sub(usize::from(rule.times != usize::MAX));
                found = Some(rule.fault.clone());
            }
        }
        found
    }
}

/// The proxy. It ends when this is dropped.
pub struct FaultProxy {
    endpoint: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// In front of `upstream`, an `http://host:port`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback");
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let upstream = upstream.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let state = Arc::<Mutex<State>>::default();
        let of_task = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, upstream) = (of_task.clone(), upstream.clone());
                tokio::spawn(async move {
                    // A client that goes away is a matter of the test, not of the proxy.
                    let _ = serve(stream, &state, &upstream).await;
                });
            }
        });
        Self { endpoint, state, task }
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn inject(&self, rule: Rule) {
        lock(&self.state).rules.push(rule);
    }

    /// Ends every rule and forgets the calls seen.
    pub fn heal(&self) {
        *lock(&self.state) = State::default();
    }

    /// How many such calls have come, those that met a fault included.
    pub fn calls(&self, matching: impl Fn(&WireCall) -> bool) -> usize {
        lock(&self.state).seen.iter().filter(|call| matching(call)).count()
    }

    /// Every call that has come.
    pub fn seen(&self) -> Vec<WireCall> {
        lock(&self.state).seen.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call; the connection closes behind it, so that calls and connections are the same thing.
async fn serve(mut stream: TcpStream, state: &Mutex<State>, upstream: &str) -> std::io::Result<()> {
    let Some(call) = http::read_call(&mut stream).await? else { return Ok(()) };
    let fault = lock(state).meet(&call);
    match &fault {
        Some(WireFault::LoseCall) => return Ok(()),
        Some(WireFault::Answer { status, headers, body }) => {
            return stream.write_all(&http::answer(*status, headers, body)).await;
        }
        Some(WireFault::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let mut answer = http::forward(&call, upstream).await?;
    match fault {
        Some(WireFault::LoseAnswer) => return Ok(()),
        Some(WireFault::BreakOff(length)) => answer.body.truncate(length),
        Some(WireFault::Shorten(length)) => {
            answer.body.truncate(length);
            answer.set_length(length);
        }
        Some(WireFault::Flip(at)) => {
            if let Some(byte) = answer.body.get_mut(at) {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    stream.write_all(&answer.bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests;
