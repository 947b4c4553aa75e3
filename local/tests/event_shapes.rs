//! The events, read back by the types that functions in Rust use.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use aws_lambda_events::apigw::{
    ApiGatewayCustomAuthorizerRequestTypeRequest, ApiGatewayV2httpRequest, ApiGatewayWebsocketProxyRequest,
};
use cloud::{Change, ChangeKind, FeedPosition, Millis, RecordKey};
use http::{HeaderMap, HeaderValue, Method};
use lambda_http::{RequestExt, RequestPayloadExt};
use local::events::*;
use serde_json::{Value, json};

fn api() -> ApiIdentity {
    ApiIdentity {
        account_id: "000000000000".into(),
        region: "eu-central-1".into(),
        api_id: "rest".into(),
        stage: "dev".into(),
        stage_variables: BTreeMap::from([("colour".into(), "blue".into())]),
    }
}

fn request() -> GatewayRequest {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("dev--demo.localhost:8080"));
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("user-agent", HeaderValue::from_static("curl/8"));
    headers.append("cookie", HeaderValue::from_static("a=1; b=2"));
    headers.append("x-many", HeaderValue::from_static("one"));
    headers.append("x-many", HeaderValue::from_static("two"));
    GatewayRequest {
        id: "request-1".into(),
        method: Method::POST,
        path: "/items/a%20b".into(),
        query: Some("q=x+y&tag=1&tag=2".into()),
        headers,
        body: r#"{"name":"é"}"#.into(),
        source_ip: "127.0.0.1".parse().unwrap(),
        at: Millis(1_428_582_896_000),
        host: "dev--demo.localhost:8080".into(),
    }
}

fn parameters() -> PathParameters {
    BTreeMap::from([("item".into(), "a%20b".into())])
}

fn route(parameters: &PathParameters) -> RouteRef<'_> {
    RouteRef { method: "POST", path: "/items/{item}", parameters }
}

fn context() -> AuthorizerContext {
    let values = json!({ "account": "01H", "admin": "false" }).as_object().unwrap().clone();
    AuthorizerContext { principal_id: "someone".into(), values }
}

#[test]
fn a_rest_event_has_the_documented_shape() {
    let parameters = parameters();
    let event: Value =
        serde_json::from_slice(&rest_event(&api(), &request(), route(&parameters), Some(&context()), false)).unwrap();
    assert_eq!(event["resource"], "/items/{item}");
    assert_eq!(event["path"], "/items/a%20b");
    assert_eq!(event["httpMethod"], "POST");
    assert_eq!(event["headers"]["Content-Type"], "application/json");
    assert_eq!(event["headers"]["X-Many"], "two");
    assert_eq!(event["multiValueHeaders"]["X-Many"], json!(["one", "two"]));
    assert_eq!(event["queryStringParameters"], json!({ "q": "x y", "tag": "2" }));
    assert_eq!(event["multiValueQueryStringParameters"], json!({ "q": ["x y"], "tag": ["1", "2"] }));
    assert_eq!(event["pathParameters"], json!({ "item": "a b" }));
    assert_eq!(event["stageVariables"], json!({ "colour": "blue" }));
    assert_eq!(event["body"], r#"{"name":"é"}"#);
    assert_eq!(event["isBase64Encoded"], false);
    let context = &event["requestContext"];
    assert_eq!(context["path"], "/dev/items/a%20b");
    assert_eq!(context["stage"], "dev");
    assert_eq!(context["requestTime"], "09/Apr/2015:12:34:56 +0000");
    assert_eq!(context["requestTimeEpoch"], 1_428_582_896_000_i64);
    assert_eq!(context["identity"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["domainName"], "dev--demo.localhost");
    assert_eq!(context["domainPrefix"], "dev--demo");
    assert_eq!(
        context["authorizer"],
        json!({ "principalId": "someone", "integrationLatency": 0, "account": "01H", "admin": "false" })
    );
}

#[test]
fn absent_parts_of_a_rest_event_are_null() {
    let mut bare = request();
    bare.query = None;
    bare.body = bytes::Bytes::new();
    let none = PathParameters::new();
    let at = RouteRef { method: "GET", path: "/", parameters: &none };
    let event: Value = serde_json::from_slice(&rest_event(&api(), &bare, at, None, true)).unwrap();
    for name in ["queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "body"] {
        assert_eq!(event[name], Value::Null, "{name}");
    }
    assert_eq!(event["isBase64Encoded"], false);
    assert_eq!(event["requestContext"].get("authorizer"), None);
}

#[test]
fn lambda_http_reads_a_rest_event() {
    let parameters = parameters();
    let event = rest_event(&api(), &request(), route(&parameters), Some(&context()), true);
    let read = lambda_http::request::from_reader(event.as_ref()).unwrap();
    assert_eq!(read.method(), "POST");
    assert_eq!(read.raw_http_path(), "/items/a%20b");
    assert_eq!(read.query_string_parameters().all("tag").unwrap(), ["1", "2"]);
    assert_eq!(read.path_parameters().first("item"), Some("a b"));
    assert_eq!(read.payload::<Value>().unwrap().unwrap(), json!({ "name": "é" }));
    let lambda_http::request::RequestContext::ApiGatewayV1(context) = read.request_context() else {
        panic!("another event was read");
    };
    assert_eq!(context.authorizer.fields["account"], "01H");
}

#[test]
fn bytes_survive_in_base64() {
    let mut upload = request();
    upload.body = bytes::Bytes::from_static(&[0, 159, 146, 150]);
    let parameters = parameters();
    let read = lambda_http::request::from_reader(rest_event(&api(), &upload, route(&parameters), None, true).as_ref())
        .unwrap();
    assert_eq!(read.body().as_ref(), [0, 159, 146, 150]);
}

#[test]
fn an_http_event_has_the_documented_shape() {
    let parameters = parameters();
    let mut api = api();
    api.stage = "$default".into();
    let raw = http_event(sam::PayloadVersion::V2, &api, &request(), route(&parameters), Some(&context()));
    let event: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(event["version"], "2.0");
    assert_eq!(event["routeKey"], "POST /items/{item}");
    assert_eq!(event["rawPath"], "/items/a%20b");
    assert_eq!(event["rawQueryString"], "q=x+y&tag=1&tag=2");
    assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
    assert_eq!(event["headers"]["x-many"], "one,two");
    assert_eq!(event["headers"].get("cookie"), None);
    assert_eq!(event["queryStringParameters"], json!({ "q": "x y", "tag": "1,2" }));
    assert_eq!(event["requestContext"]["http"]["method"], "POST");
    assert_eq!(event["requestContext"]["authorizer"]["lambda"]["account"], "01H");
    assert_eq!(event["body"], r#"{"name":"é"}"#);
    let typed: ApiGatewayV2httpRequest = serde_json::from_slice(&raw).unwrap();
    assert_eq!(typed.request_context.http.path.as_deref(), Some("/items/a%20b"));
    let read = lambda_http::request::from_reader(raw.as_ref()).unwrap();
    assert_eq!(read.uri().path(), "/items/a%20b");
}

#[test]
fn an_http_event_names_its_stage_in_the_path() {
    let parameters = parameters();
    let raw = http_event(sam::PayloadVersion::V2, &api(), &request(), route(&parameters), None);
    let event: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!(event["rawPath"], "/dev/items/a%20b");
    let raw = http_event(sam::PayloadVersion::V1, &api(), &request(), route(&parameters), None);
    let event: Value = serde_json::from_slice(&raw).unwrap();
    assert_eq!((event["version"].as_str(), event["path"].as_str()), (Some("1.0"), Some("/items/a%20b")));
}

#[test]
fn authorizers_are_asked_with_the_method_arn() {
    let parameters = parameters();
    let raw = request_authorizer_event(&api(), &request(), route(&parameters));
    let typed: ApiGatewayCustomAuthorizerRequestTypeRequest = serde_json::from_slice(&raw).unwrap();
    assert_eq!(typed.type_.as_deref(), Some("REQUEST"));
    let arn = "arn:aws:execute-api:eu-central-1:000000000000:rest/dev/POST/items/a%20b";
    assert_eq!(typed.method_arn.as_deref(), Some(arn));
    assert_eq!(typed.headers["cookie"], "a=1; b=2");
    let token: Value = serde_json::from_slice(&token_authorizer_event(&api(), &request(), "Bearer x")).unwrap();
    assert_eq!(token, json!({ "type": "TOKEN", "authorizationToken": "Bearer x", "methodArn": arn }));
    let identity = ["Bearer x".to_owned()];
    let two: Value =
        serde_json::from_slice(&http_request_authorizer_event(&api(), &request(), route(&parameters), &identity))
            .unwrap();
    assert_eq!(two["identitySource"], json!(["Bearer x"]));
    assert_eq!((two["type"].as_str(), two["version"].as_str()), (Some("REQUEST"), Some("2.0")));
}

fn session() -> SocketSession {
    let mut headers = HeaderMap::new();
    headers.insert("origin", HeaderValue::from_static("http://127.0.0.1:8080"));
    SocketSession {
        connection_id: "abc=".into(),
        connected: Millis(1_000),
        source_ip: "127.0.0.1".parse().unwrap(),
        headers,
        query: Some("ticket=t".into()),
        host: "127.0.0.1:8080".into(),
    }
}

#[test]
fn socket_events_are_read_by_the_published_type() {
    let api = SocketApi { api_id: "sockets".into(), stage: "dev".into() };
    let read = |kind: &SocketEventKind| -> ApiGatewayWebsocketProxyRequest {
        serde_json::from_slice(&socket_event(&api, &session(), "r", Millis(2_000), kind)).unwrap()
    };
    let connect = read(&SocketEventKind::Connect);
    assert_eq!(connect.request_context.event_type.as_deref(), Some("CONNECT"));
    assert_eq!(connect.request_context.connected_at, 1_000);
    assert_eq!(connect.query_string_parameters.first("ticket"), Some("t"));
    assert_eq!(connect.headers["origin"], "http://127.0.0.1:8080");
    let gone = read(&SocketEventKind::Disconnect { code: 1001, reason: "Going away".into() });
    assert_eq!(gone.request_context.disconnect_status_code, Some(1001));
    assert_eq!(gone.request_context.route_key.as_deref(), Some("$disconnect"));
    let message =
        read(&SocketEventKind::Message { route_key: "$default".into(), message_id: "m".into(), body: "{}".into() });
    assert_eq!((message.body.as_deref(), message.request_context.message_id.as_deref()), (Some("{}"), Some("m")));
}

#[test]
fn socket_answers_have_a_status() {
    assert_eq!(parse_socket_reply(br#"{"statusCode":401}"#).unwrap().0, 401);
    assert_eq!(parse_socket_reply(b"{}").unwrap().0, 200);
    let (status, body) = parse_socket_reply(br#"{"statusCode":200,"body":"hi"}"#).unwrap();
    assert_eq!((status.as_u16(), body.as_deref()), (200, Some("hi")));
    assert!(parse_socket_reply(b"x").is_none());
    assert!(parse_socket_reply(br#"{"statusCode":7}"#).is_none());
}

#[test]
fn queue_events_are_read_by_the_published_type() {
    let source =
        QueueSource { arn: "arn:aws:sqs:eu-central-1:000000000000:jobs".into(), region: "eu-central-1".into() };
    let message = QueueMessage {
        id: "m1".into(),
        receipt: "r1".into(),
        body: "Hello".into(),
        attempt: 2,
        sent: Millis(1),
        received: Millis(2),
    };
    let event: aws_lambda_events::sqs::SqsEvent = serde_json::from_slice(&queue_event(&source, &[message])).unwrap();
    let record = &event.records[0];
    assert_eq!(record.message_id.as_deref(), Some("m1"));
    assert_eq!(record.md5_of_body.as_deref(), Some("8b1a9953c4611296a827abf8c47804d7"));
    assert_eq!(record.attributes["ApproximateReceiveCount"], "2");
    assert_eq!(record.event_source.as_deref(), Some("aws:sqs"));
}

#[test]
fn stream_events_are_read_by_the_published_type() {
    let source = StreamSource {
        arn: "arn:aws:dynamodb:eu-central-1:000000000000:table/Table/stream/now".into(),
        region: "eu-central-1".into(),
        view: "NEW_AND_OLD_IMAGES".into(),
    };
    let change = Change {
        position: FeedPosition("42".into()),
        kind: ChangeKind::Modify,
        key: RecordKey::new("project#1", "event#1"),
        old: Some(json!({ "a": 1 })),
        new: Some(json!({ "a": 2 })),
        at: Millis(1_500),
    };
    let raw = stream_event(&[stream_record(&source, &change)]);
    let event: aws_lambda_events::dynamodb::Event = serde_json::from_slice(&raw).unwrap();
    let record = &event.records[0];
    assert_eq!((record.event_name.as_str(), record.event_id.as_str()), ("MODIFY", "42"));
    let raw: Value = serde_json::from_slice(&raw).unwrap();
    let body = &raw["Records"][0]["dynamodb"];
    assert_eq!(body["Keys"], json!({ "pk": { "S": "project#1" }, "sk": { "S": "event#1" } }));
    assert_eq!(body["NewImage"]["value"], json!({ "S": "{\"a\":2}" }));
    assert_eq!(body["OldImage"]["value"], json!({ "S": "{\"a\":1}" }));
    assert_eq!(body["ApproximateCreationDateTime"], 1.5);
    let keys_only = StreamSource { view: "KEYS_ONLY".into(), ..source };
    let record = stream_record(&keys_only, &change);
    assert_eq!((record["dynamodb"].get("NewImage"), record["dynamodb"].get("OldImage")), (None, None));
}
