//! What holds around every route, seen from outside.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Extension, Router};
use cloud::{Millis, SystemEntropy};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use identity::{AccountId, Channel, EmailAddress, PersonName, Principal, Scopes, SessionId};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::memory::MemoryRecords;
use tokio::sync::Notify;
use tower::ServiceExt;

use super::*;
use crate::{Caller, Created, IfMatch, Json, PageParams, Problem, Query, RequestId, Tagged};

struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Millis {
        Millis(self.0.load(Ordering::SeqCst))
    }
}

/// What the routes of this test count and wait for.
#[derive(Clone, Default)]
struct Probe {
    runs: Arc<AtomicUsize>,
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Make {
    name: String,
}

struct House {
    routes: Router,
    records: MemoryRecords,
    clock: Arc<HandClock>,
    probe: Probe,
}

/// Makes something; names steer what happens.
async fn make(State(probe): State<Probe>, caller: Caller, Json(body): Json<Make>) -> Result<Created<Value>, Problem> {
    let run = probe.runs.fetch_add(1, Ordering::SeqCst) + 1;
    match body.name.as_str() {
        "broken" => return Err(Problem::internal()),
        "refused" => return Err(Problem::conflict("Not now.")),
        "slow" => {
            probe.entered.notify_one();
            probe.release.notified().await;
        }
        _ => {}
    }
    let filler = if body.name == "large" { "x".repeat(300_000) } else { String::new() };
    let made = json!({"run": run, "secret": "wrp_shown_once", "token": caller.idempotency_token, "filler": filler});
    Ok(Created { location: "/things/1".into(), etag: Some("v1".into()), body: made })
}

async fn correlation(caller: Caller, Extension(id): Extension<RequestId>) -> Json<Value> {
    Json(json!({"correlation": caller.correlation_id, "request": id.0}))
}

async fn tagged() -> Tagged<Value> {
    Tagged { etag: "v7".into(), body: json!({"a": 1}) }
}

async fn conditional(IfMatch(expected): IfMatch) -> String {
    format!("{expected:?}")
}

async fn page(Query(params): Query<PageParams>) -> Result<String, Problem> {
    Ok(format!("{:?}", params.query()?.limit))
}

fn house() -> House {
    let clock = Arc::new(HandClock(AtomicI64::new(1_790_000_000_000)));
    let records = MemoryRecords::new(clock.clone());
    let probe = Probe::default();
    let routes = Router::new()
        .route("/things", post(make))
        .route("/others", post(make))
        .route("/correlation", get(correlation))
        .route("/tagged", get(tagged).put(conditional))
        .route("/page", get(page));
    let shared: (Arc<dyn Records>, Arc<dyn Clock>, Arc<dyn Entropy>) =
        (Arc::new(records.clone()), clock.clone(), Arc::new(SystemEntropy));
    let routes = wrap(routes, "public".into(), &shared.0, &shared.1, &shared.2).with_state(probe.clone());
    House { routes, records, clock, probe }
}

fn person() -> Principal {
    let clock = cloud::SystemClock;
    Principal {
        account: AccountId::generate(&clock, &SystemEntropy),
        email: EmailAddress::parse("dev@example.com").unwrap(),
        name: PersonName::parse("Dev").unwrap(),
        admin: false,
        channel: Channel::Bearer,
        scopes: Scopes::all(),
        project: None,
        session: Some(SessionId::generate(&clock, &SystemEntropy)),
        token: None,
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl House {
    async fn send(&self, request: Request) -> Answer {
        let (parts, body) = self.routes.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn post(&self, who: &Principal, path: &str, key: Option<&str>, body: &str) -> Answer {
        self.send(posted(who, path, key, body)).await
    }

    fn runs(&self) -> usize {
        self.probe.runs.load(Ordering::SeqCst)
    }
}

fn posted(who: &Principal, path: &str, key: Option<&str>, body: &str) -> Request {
    let mut request = Request::post(path).header("content-type", "application/json").extension(who.clone());
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

fn got(path: &str, headers: &[(&str, &str)]) -> Request {
    let request = headers.iter().fold(Request::get(path), |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn draft_006_a_repeated_post_gets_the_first_answer_byte_for_byte() {
    let (house, dev) = (house(), person());
    let first = house.post(&dev, "/things", Some("k1"), r#"{"name":"a"}"#).await;
    let again = house.post(&dev, "/things", Some("k1"), r#"{"name":"a"}"#).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body, again.body);
    assert_eq!(first.json()["token"], "k1");
    for name in ["content-type", "location", "etag"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), ("", "true"));
    assert_eq!(house.runs(), 1);
    house.clock.0.fetch_add(i64::try_from(Duration::from_secs(24 * 60 * 60).as_millis()).unwrap(), Ordering::SeqCst);
    assert_eq!(house.post(&dev, "/things", Some("k1"), r#"{"name":"a"}"#).await.json()["run"], 2);
}

#[tokio::test]
async fn draft_007_a_key_with_another_request_is_refused() {
    let (house, dev) = (house(), person());
    house.post(&dev, "/things", Some("k1"), r#"{"name":"a"}"#).await;
    for (path, body) in
        [("/things", r#"{"name":"b"}"#), ("/others", r#"{"name":"a"}"#), ("/things?x=1", r#"{"name":"a"}"#)]
    {
        let answer = house.post(&dev, path, Some("k1"), body).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (422, json!("idempotency-mismatch")));
    }
    assert_eq!(house.runs(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_caller_and_to_nobody_without_one() {
    let house = house();
    house.post(&person(), "/things", Some("k1"), r#"{"name":"a"}"#).await;
    let other = house.post(&person(), "/things", Some("k1"), r#"{"name":"a"}"#).await;
    assert_eq!(other.json()["run"], 2);
    let anonymous = Request::post("/things").header("idempotency-key", "k1").header("content-type", "application/json");
    let answer = house.send(anonymous.body(Body::from(r#"{"name":"a"}"#)).unwrap()).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn while_the_first_runs_a_repetition_is_told_to_wait() {
    let (house, dev) = (house(), person());
    let running = tokio::spawn(house.routes.clone().oneshot(posted(&dev, "/things", Some("k"), r#"{"name":"slow"}"#)));
    house.probe.entered.notified().await;
    let second = house.post(&dev, "/things", Some("k"), r#"{"name":"slow"}"#).await;
    assert_eq!((second.status.as_u16(), second.header("retry-after")), (409, "1"));
    house.probe.release.notify_one();
    assert_eq!(running.await.unwrap().unwrap().status(), 201);
    assert_eq!(house.post(&dev, "/things", Some("k"), r#"{"name":"slow"}"#).await.json()["run"], 1);
}

#[tokio::test]
async fn a_request_that_died_can_be_made_again_after_its_lease() {
    let (house, dev) = (house(), person());
    let died = tokio::spawn(house.routes.clone().oneshot(posted(&dev, "/things", Some("k"), r#"{"name":"slow"}"#)));
    house.probe.entered.notified().await;
    died.abort();
    assert!(died.await.unwrap_err().is_cancelled());
    assert_eq!(house.post(&dev, "/things", Some("k"), r#"{"name":"slow"}"#).await.status, 409);
    house.clock.0.fetch_add(60_000, Ordering::SeqCst);
    house.probe.release.notify_one();
    assert_eq!(house.post(&dev, "/things", Some("k"), r#"{"name":"slow"}"#).await.json()["run"], 2);
}

#[tokio::test]
async fn a_failure_is_not_kept() {
    let (house, dev) = (house(), person());
    for (name, status) in [("broken", 500), ("refused", 409)] {
        let body = json!({"name": name}).to_string();
        for _ in 0..2 {
            assert_eq!(house.post(&dev, "/things", Some(name), &body).await.status, status);
        }
    }
    assert_eq!(house.runs(), 4);
    assert!(house.records.dump().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_made_twice() {
    let (house, dev) = (house(), person());
    assert_eq!(house.post(&dev, "/things", Some("k"), r#"{"name":"large"}"#).await.status, 201);
    assert_eq!(house.post(&dev, "/things", Some("k"), r#"{"name":"large"}"#).await.status, 409);
    assert_eq!(house.runs(), 1);
}

#[tokio::test]
async fn a_kept_answer_cannot_be_read_in_the_store() {
    let (house, dev) = (house(), person());
    house.post(&dev, "/things", Some("the-key"), r#"{"name":"a"}"#).await;
    let stored: String = house.records.dump().iter().map(|record| format!("{} {}", record.key, record.value)).collect();
    assert!(stored.contains("nonce"));
    for secret in ["wrp_shown_once", "the-key", "d3JwX3Nob3du"] {
        assert!(!stored.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let (house, dev) = (house(), person());
    let long = "k".repeat(256);
    for key in ["", "a b", "\u{e9}", &long] {
        assert_eq!(house.post(&dev, "/things", Some(key), r#"{"name":"a"}"#).await.status, 400, "{key}");
    }
    assert_eq!(house.runs(), 0);
}

#[tokio::test]
async fn a_problem_tells_kind_and_request() {
    let house = house();
    for (path, method, status, code) in [
        ("/nowhere", "GET", 404, "not-found"),
        ("/things", "GET", 405, "method-not-allowed"),
        ("/correlation", "GET", 401, "unauthenticated"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = house.send(request).await;
        let problem = answer.json();
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(
            (answer.status.as_u16(), &problem["status"], &problem["code"]),
            (status, &json!(status), &json!(code))
        );
        assert_eq!(problem["type"], format!("https://workroom.dev/problems/{code}"));
        assert_eq!(problem["request_id"], answer.header("x-request-id"));
        assert!(problem["title"].is_string() && problem["detail"].is_string());
    }
    let challenge = house.send(got("/correlation", &[])).await;
    assert_eq!(challenge.header("www-authenticate"), "Bearer realm=\"workroom\"");
}

#[tokio::test]
async fn bodies_that_are_not_exactly_what_is_asked_for_are_refused() {
    let (house, dev) = (house(), person());
    let large = json!({"name": "x".repeat(crate::JSON_BODY_MAX)}).to_string();
    for (body, status) in [
        (r#"{"name":"a","role":"admin"}"#, 422),
        (r#"{"email":["a@example.com","evil@example.com"]}"#, 422),
        (r#"{"name":["a","b"]}"#, 422),
        ("{}", 422),
        ("", 400),
        ("{", 400),
        (&large, 413),
    ] {
        assert_eq!(house.post(&dev, "/things", None, body).await.status.as_u16(), status, "{body:.40}");
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = Request::post("/things").header("content-type", kind).extension(dev.clone());
        assert_eq!(house.send(request.body(Body::from(r#"{"name":"a"}"#)).unwrap()).await.status, 415, "{kind}");
    }
    assert_eq!(house.runs(), 0);
}

#[tokio::test]
async fn authz_045_and_046_queries_are_strict() {
    let house = house();
    let forged = "/page?cursor=eyJwayI6IlRFQU0jb3RoZXIifQ";
    for path in
        [forged, "/page?limit=0", "/page?limit=x", "/page?limit=1&limit=2", "/page?q=%27%20OR%20begins_with(pk)"]
    {
        let answer = house.send(got(path, &[])).await;
        assert_eq!((answer.status.as_u16(), answer.json()["code"].clone()), (400, json!("validation")), "{path}");
    }
    assert_eq!(house.send(got("/page?limit=5", &[])).await.body, b"Some(5)");
}

#[tokio::test]
async fn a_known_version_is_not_sent_again() {
    let house = house();
    let fresh = house.send(got("/tagged", &[])).await;
    assert_eq!((fresh.status.as_u16(), fresh.header("etag")), (200, "\"v7\""));
    let known = house.send(got("/tagged", &[("if-none-match", "\"v7\"")])).await;
    assert_eq!((known.status.as_u16(), known.header("etag"), known.body.len()), (304, "\"v7\"", 0));
    assert_eq!(house.send(got("/tagged", &[("if-none-match", "\"v6\"")])).await.status, 200);
    let put = Request::put("/tagged").header("if-match", "\"v7\"").body(Body::empty()).unwrap();
    assert_eq!(house.send(put).await.body, b"Tag(\"v7\")");
    let put = Request::put("/tagged").header("if-match", "v7").body(Body::empty()).unwrap();
    assert_eq!(house.send(put).await.status, 400);
}

#[tokio::test]
async fn every_answer_has_the_headers_of_an_api_that_is_no_page() {
    let house = house();
    let anonymous = house.send(got("/tagged", &[])).await;
    let private = house.send(got("/tagged", &[("authorization", "Bearer x")])).await;
    for answer in [&anonymous, &private] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").contains("sandbox"));
    }
    assert_eq!((anonymous.header("cache-control"), anonymous.header("vary")), ("", ""));
    assert_eq!((private.header("cache-control"), private.header("vary")), ("no-store", "Authorization, Cookie"));
}

#[tokio::test]
async fn a_correlation_id_is_the_clients_when_it_is_plain() {
    let (house, dev) = (house(), person());
    let long = "c".repeat(65);
    for (sent, taken) in [("build-42.a_b", true), ("", false), ("a b", false), ("a\u{e9}", false), (&*long, false)] {
        let request = Request::get("/correlation").header("x-correlation-id", sent).extension(dev.clone());
        let answer = house.send(request.body(Body::empty()).unwrap()).await.json();
        let expected = if taken { json!(sent) } else { answer["request"].clone() };
        assert_eq!(answer["correlation"], expected, "{sent}");
    }
}

#[tokio::test]
async fn the_principal_comes_from_the_authorizer() {
    let (house, dev) = (house(), person());
    let context: aws_lambda_events::apigw::ApiGatewayProxyRequestContext = serde_json::from_value(json!({
        "accountId": "1", "resourceId": "r", "stage": "dev", "requestId": "gateway-1", "identity": {}, "httpMethod": "GET",
        "apiId": "a", "authorizer": merged(json!(dev.to_context()), json!({"principalId": dev.account, "integrationLatency": 3})),
    }))
    .unwrap();
    let context = lambda_http::request::RequestContext::ApiGatewayV1(context);
    let request = Request::get("/correlation").extension(context).body(Body::empty()).unwrap();
    assert_eq!(crate::principal_of(request.extensions()).unwrap(), dev);
    let answer = house.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (200, "gateway-1"));
}

fn merged(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}
